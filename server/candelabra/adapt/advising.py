"""Which backbone suits some examples: a process of its own looks at one after the other, and its answers are judged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from candelabra import errors
from candelabra.adapt import calibration, material
from candelabra.adapt.advice import Advice, Trial, advise, paired_interval
from candelabra.adapt.material import Material
from candelabra.adapt.service import Jobs
from candelabra.adapt.survey import Question
from candelabra.backbones import CATALOGUE, installed
from candelabra.limits import Limits
from candelabra.plugin import Task
from candelabra.registry import Registry
from candelabra.settings import Settings
from candelabra.types import BackboneInfo, Example, OwnedName, Progress, TaskKind

LOG = logging.getLogger("candelabra.advice")
EXAMPLES, MOST_EXAMPLES = 1000, 4096
MOST_BACKBONES = 8
LINE_LIMIT = 256 * 1024**2
RETRY_AFTER = 60
METRICS = {
    TaskKind.SINGLE_LABEL: "leave-one-out accuracy",
    TaskKind.MULTI_LABEL: "leave-one-out f1 of a row",
    TaskKind.REGRESSION: "leave-one-out r2",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants advice on. Empty `backbones` mean all that lie on this machine."""

    examples: Sequence[Example] | None = None
    dataset: OwnedName | None = None
    domain: str = ""
    task: str = ""
    backbones: Sequence[str] = ()
    max_examples: int = 0


@dataclass(frozen=True, slots=True)
class Advised:
    """The advice; by name each backbone's fingerprint and its score's 95 % interval; and in what the scores are."""

    advice: Advice
    fingerprints: Mapping[str, str]
    intervals: Mapping[str, tuple[float, float]]
    metric: str
    recommendation: str


@dataclass(slots=True)
class Advising:
    """The use case. One at a time: the process needs memory for a whole encoder."""

    registry: Registry
    jobs: Jobs
    backbone: BackboneInfo
    backbone_path: Path
    limits: Limits
    settings: Settings
    _busy: bool = field(default=False)

    async def __call__(self, wish: Wish) -> AsyncGenerator[Progress | Advised, None]:
        """Progress, and the advice in the end. A caller that leaves takes the process with it."""
        names = await asyncio.to_thread(self._backbones, wish.backbones)
        domain, task = self.jobs.task_of(wish.domain or "general", wish.task or "classification")
        if task.kind not in METRICS:
            raise errors.InvalidArgument(
                f"The task {task.name!r} is of {task.kind.value}, and backbones are compared by labels or numbers: "
                "choose another task.",
                field="task",
            )
        if not 0 <= wish.max_examples <= MOST_EXAMPLES:
            raise errors.InvalidArgument(
                f"max_examples is {wish.max_examples}: use 1 to {MOST_EXAMPLES}, or 0 for {EXAMPLES}.",
                field="max_examples",
            )
        if self._busy:
            raise errors.QueueFull(
                "The server is giving advice to somebody, one at a time: try again later.", retry_after=RETRY_AFTER
            )
        self._busy = True
        try:
            examples = await self._examples(wish)
            data = await asyncio.to_thread(material.prepare, examples, domain, task, self.limits)
            question = self._question(data, task, names, wish.max_examples or EXAMPLES)
            async with contextlib.aclosing(self._survey(question)) as events:
                async for told in events:
                    yield told
        finally:
            self._busy = False

    async def _examples(self, wish: Wish) -> Sequence[Example]:
        if wish.examples is not None:
            self.limits.examples(wish.examples)
            return wish.examples
        if wish.dataset is None:
            raise errors.NoExamples("Advise needs examples or a dataset: send one of them.", field="examples")
        info = await asyncio.to_thread(self.registry.datasets.get, wish.dataset)
        return await asyncio.to_thread(self.registry.datasets.examples, wish.dataset, info.next_position)

    def _backbones(self, asked: Sequence[str]) -> list[str]:
        """What `resolve` finds without fetching anything: folders, and entries of the catalogue that are here."""
        cache = self.settings.cache
        here = [entry.name for entry in CATALOGUE.values() if installed(entry, cache)]
        if not asked:
            serving = self.backbone.name if self.backbone.name in here else str(self.backbone_path)
            return list(dict.fromkeys([serving, *here]))
        names = list(dict.fromkeys(asked))
        if len(names) > MOST_BACKBONES:
            raise errors.InvalidArgument(
                f"{len(names)} backbones are too many for one call: name at most {MOST_BACKBONES}.", field="backbones"
            )
        for name in names:
            if name == self.backbone.name and name not in here:
                names[names.index(name)] = str(self.backbone_path)
            elif name not in here and not Path(name).expanduser().is_dir():
                raise errors.UnknownBackbone(
                    f"The backbone {name[:200]!r} does not lie on this machine: pull it first, or name one of "
                    f"{', '.join(here) or self.backbone.name}.",
                    backbone=name[:200],
                )
        return names

    def _question(self, data: Material, task: Task, names: Sequence[str], most: int) -> Question:
        rows = list(range(len(data.texts)))
        if len(rows) > most:
            rows = sorted(np.random.default_rng(0).choice(len(rows), most, replace=False).tolist())
        return Question(
            texts=[data.texts[row] for row in rows],
            pairs=[data.pairs[row] for row in rows] if data.pairs else [],
            labels=list(data.labels),
            targets=data.targets[rows].tolist(),
            kind=task.kind.value,
            metric=task.metric,
            long_text=task.long_text.value,
            backbones=names,
            cache=str(self.settings.cache),
            device=self.settings.device,
            threads=self.settings.trainer_threads,
        )

    async def _survey(self, question: Question) -> AsyncGenerator[Progress | Advised, None]:
        seen: list[dict[str, object]] = []
        failed: list[dict[str, str]] = []
        async with contextlib.aclosing(lines(question)) as told:
            async for message in told:
                if "progress" in message:
                    now = message["progress"]
                    share = (now["at"] + now["share"]) / len(question.backbones)
                    yield Progress("encode", int(share * 100), 100)
                elif "seen" in message:
                    seen.append(message["seen"])
                elif "failed" in message:
                    failed.append(message["failed"])
                    extra = {"backbone": failed[-1]["backbone"], "error": failed[-1]["message"]}
                    LOG.warning("a backbone could not be tried", extra=extra)
        if not seen:
            first = failed[0]
            raise errors.BackboneUnavailable(
                f"None of the backbones could be tried. {first['backbone']}: {first['message']}",
                backbone=first["backbone"],
            )
        yield await asyncio.to_thread(judged, question, seen, failed)


async def lines(question: Question) -> AsyncGenerator[dict[str, Any], None]:
    """What the process says, until it is done; it is killed where nobody listens any more."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "candelabra.adapt.survey",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with contextlib.suppress(ConnectionError):
            child.stdin.write(json.dumps(asdict(question)).encode() + b"\n")
            await child.stdin.drain()
        while line := await child.stdout.readline():
            message = json.loads(line)
            if "done" in message:
                return
            yield message
        raise errors.TrainerCrashed(f"The process that tries backbones ended with {await child.wait()}.")
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await asyncio.shield(child.wait())


def judged(question: Question, seen: Sequence[Mapping[str, object]], failed: Sequence[Mapping[str, str]]) -> Advised:
    """From what the process saw to a ranking."""
    kind = TaskKind(question.kind)
    trials = []
    for one in seen:
        outputs, targets = np.array(one["outputs"], np.float64), np.array(question.targets)
        numbers = [float(str(one[name])) for name in ("log_me", "h_score", "seconds_per_1k")]
        trials.append(Trial(str(one["name"]), row_scores(outputs, targets, kind), *numbers))
    advice = advise(trials, METRICS[kind], question.seed)
    left_out = "".join(f" {one['backbone']} could not be tried: {one['message']}" for one in failed)
    fingerprints = {str(one["name"]): str(one["fingerprint"]) for one in seen}
    intervals = {trial.name: _interval(trial.rows, question.seed) for trial in trials}
    return Advised(advice, fingerprints, intervals, METRICS[kind], advice.recommendation + left_out)


def _interval(rows: np.ndarray, seed: int) -> tuple[float, float]:
    middle = float(rows.mean())
    low, high = paired_interval(rows - middle, seed)
    return middle + low, middle + high


def row_scores(outputs: np.ndarray, targets: np.ndarray, kind: TaskKind) -> np.ndarray:
    """float64 [n]: right or wrong; F1 of a row's labels; for numbers one less the squared error by the variance."""
    if kind is TaskKind.REGRESSION:
        spread = max(float(targets.var()), 1e-12)
        return np.asarray(1.0 - (outputs[:, 0] - targets) ** 2 / spread, np.float64)
    if kind is TaskKind.SINGLE_LABEL:
        return np.asarray(outputs.argmax(axis=1) == targets, np.float64)
    scale, shift = calibration.platt(outputs, targets)
    decided = outputs * scale + shift > 0
    both = (decided & (targets > 0)).sum(axis=1)
    size = decided.sum(axis=1) + targets.sum(axis=1)
    return np.where(size > 0, 2 * both / np.maximum(size, 1), 1.0)
