"""From a job's examples to the folder that its trainer reads: checked rows, features, token states, the incumbent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from candelabra import errors
from candelabra.adapt import assignment, material
from candelabra.adapt.assignment import FEATURES, FIRST, LABELS, SECOND, STATES, TRAIN, UNLABELLED, VALIDATION
from candelabra.adapt.checked import Checked
from candelabra.adapt.encode import FeatureEncoder, Lengths, Part, Texts, open_states
from candelabra.adapt.material import Material
from candelabra.adapt.methods import layers
from candelabra.adapt.slots import default_slots
from candelabra.adapt.training import TokenStates, TrainSpec
from candelabra.adapt.work import Work
from candelabra.engine.tokenizer import Tokens
from candelabra.heads.store import HeadStore
from candelabra.limits import Limits
from candelabra.plugin import Task
from candelabra.registry.registry import Registry
from candelabra.settings import Settings
from candelabra.types import BackboneInfo, HeadRef, LongText, Method, OwnedName, Reading, Slot, TaskKind

LOG = logging.getLogger("candelabra.adapt")
OF_TOKENS = (TaskKind.ENTITIES, TaskKind.ANSWER)
STATE_BYTES = 2


@dataclass(slots=True)
class Preparation:
    """Reads, encodes and writes; everything that a training needs beside arithmetic."""

    registry: Registry
    store: HeadStore
    encoder: FeatureEncoder
    backbone: BackboneInfo
    backbone_path: Path
    limits: Limits
    settings: Settings
    checked: Checked

    async def run(self, work: Work) -> dict[str, object]:
        """Fills the work's folder. Returns the report about the data."""
        spec = work.job.spec
        info = await asyncio.to_thread(self.registry.datasets.get, spec.dataset)
        known = self.checked.take(work.job.id, info.lost)
        train = known or await self._material(work, spec.dataset, spec.dataset_rows)
        held_out = None
        if spec.validation:
            info = await asyncio.to_thread(self.registry.datasets.get, spec.validation)
            held_out = await self._material(work, spec.validation, info.next_position, train.labels)
        method_layers = self._layers(work, train)
        lengths = await self._encode(work, TRAIN, train, method_layers)
        if held_out is not None:
            await self._encode(work, VALIDATION, held_out, method_layers)
        assignment.save_spec(work.folder, self._spec(work))
        await asyncio.to_thread(self._save_incumbent, work)
        return data_report(train, lengths)

    async def _material(self, work: Work, dataset: OwnedName, rows: int, labels: Sequence[str] = ()) -> Material:
        spec = work.job.spec
        examples = await asyncio.to_thread(self.registry.datasets.examples, dataset, rows)
        return await asyncio.to_thread(
            material.prepare,
            examples,
            work.domain,
            work.task,
            self.limits,
            labels=labels,
            strict=spec.strict,
            descriptions=spec.label_descriptions,
        )

    def _layers(self, work: Work, train: Material) -> tuple[int, ...]:
        """Layers whose token states the method may use, where the disk allows it."""
        spec = work.job.spec
        wanted = layers.wanted(spec.method, work.task.kind, self.backbone, spec.options)
        if spec.method is not Method.AUTO or work.task.kind in OF_TOKENS:
            return wanted
        tokens = sum(len(text) for text in train.texts) / 4 + 4 * len(train.texts)
        size = tokens * len(wanted) * self.backbone.dimension * STATE_BYTES
        return wanted if size <= self.settings.max_state_bytes else ()

    async def _encode(self, work: Work, name: str, data: Material, state_layers: tuple[int, ...]) -> Lengths:
        """All features of one part of the work, in one go with one progress."""
        task, folder = work.task, work.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        slots = self._slots(task)
        main = Texts(
            data.texts,
            reading=reading_of(task),
            long_text=task.long_text,
            seconds=data.questions or data.pairs,
            offsets=task.kind in OF_TOKENS,
        )
        tokens = await self.encoder.tokenize(main)
        states: TokenStates | None = None
        if state_layers:
            dimension = self.backbone.dimension
            states = await asyncio.to_thread(open_states, folder / STATES, tokens, state_layers, dimension)
        parts = [self._open(work, name, FEATURES, tokens, slots, states)]
        if task.pair:
            for which, texts in ((FIRST, data.texts), (SECOND, data.pairs)):
                alone = await self.encoder.tokenize(Texts(texts, long_text=task.long_text))
                parts.append(self._open(work, name, which, alone, slots))
        if name == TRAIN and not task.pair and task.kind not in OF_TOKENS:
            for which, texts in ((UNLABELLED, data.unlabelled), (LABELS, data.label_texts)):
                if texts:
                    alone = await self.encoder.tokenize(Texts(texts, long_text=task.long_text))
                    parts.append(self._open(work, name, which, alone, slots))
        await self.encoder.run(parts, work.job.spec.head.tenant, work.reporter.say)
        await asyncio.to_thread(assignment.save_part, work.folder, name, data, slots)
        return Lengths.of(tokens)

    def _open(
        self,
        work: Work,
        name: str,
        which: str,
        tokens: Sequence[Tokens],
        slots: tuple[Slot, ...],
        states: TokenStates | None = None,
    ) -> Part:
        shape = (len(tokens), len(slots), self.backbone.dimension)
        into = assignment.open_features(work.folder, name, *shape, which=which)
        return Part(tokens, slots, into, states)

    def _slots(self, task: Task) -> tuple[Slot, ...]:
        """Heads of tokens read no pooled vector; that of the last layer tells how unlike others a text is."""
        if task.kind in OF_TOKENS:
            return (Slot(self.backbone.layers, "mean"),)
        return default_slots(self.backbone)

    def _spec(self, work: Work) -> TrainSpec:
        spec, task = work.job.spec, work.task
        return TrainSpec(
            task_kind=task.kind,
            method=spec.method,
            metric=task.metric,
            recall_floor=task.recall_floor,
            ordered=task.ordered,
            abstain_below=task.abstain_below,
            abstain_outside=task.abstain_outside,
            gate=replace(task.gate, **spec.gate),
            budget_seconds=spec.budget_seconds or self._usual_budget(spec.method),
            backbone_path=str(self.backbone_path),
            options={**spec.options, **({"self_training": spec.self_training} if spec.self_training else {})},
            seed=spec.seed,
            force=spec.force,
            backbone=self.backbone.fingerprint,
            domain=spec.domain,
            task=spec.task,
            long_text=LongText.WINDOWS if task.kind in OF_TOKENS else task.long_text,
            reading=reading_of(task),
            lineage={"job": work.job.name, "dataset": str(spec.dataset), "dataset_rows": spec.dataset_rows},
        )

    def _usual_budget(self, method: Method) -> float:
        """A race is to be short; a method that was named may take its time, as long as the job may."""
        return self.settings.auto_seconds if method is Method.AUTO else self.settings.job_timeout_seconds / 2

    def _save_incumbent(self, work: Work) -> None:
        """The version that the alias points at now: what the candidate must not be worse than."""
        spec = work.job.spec
        try:
            version = self.registry.heads.version(HeadRef(spec.head, spec.alias))
            head = self.store.get(version.digest)
        except errors.NotFound:
            return
        except errors.CorruptHead as error:
            LOG.warning("the incumbent cannot be read; nothing to compare with", extra={"error": error.message})
            return
        if version.backbone == self.backbone.fingerprint:
            assignment.save_incumbent(work.folder, head, self.store.get_evidence(version.digest))


def reading_of(task: Task) -> Reading:
    if task.kind is TaskKind.ANSWER:
        return Reading.QUESTION
    return Reading.JOINT if task.pair else Reading.TEXT


def data_report(train: Material, lengths: Lengths) -> dict[str, object]:
    """The `data` part of the report."""
    counts = lengths.counts if len(lengths.counts) else np.zeros(1)
    return {
        "examples": len(train.texts) + sum(train.dropped.values()),
        "duplicates": train.dropped.get("duplicate", 0) + train.dropped.get("conflicting_duplicate", 0),
        "truncated": lengths.truncated,
        "windowed": lengths.windowed,
        "tokens_median": float(np.median(counts)),
        "tokens_p95": float(np.percentile(counts, 95)),
        "label_counts": train.label_counts,
        "dropped": train.dropped,
        "problems": [{"reason": one.reason, "message": one.message, "rows": one.rows} for one in train.problems],
    }
