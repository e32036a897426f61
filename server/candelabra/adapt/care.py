"""Rows are forgotten, together with the heads that had learned from them.

Nothing is kept beside the registry that a crash could lose: what was forgotten, which versions knew it and which jobs
make them anew follow from it at any time, so that `Forgetting.resume` goes on where a server was stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from candelabra import errors
from candelabra.adapt import forget, material
from candelabra.adapt.affair import (
    Affair,
    affair_of,
    asked_before,
    everything_open,
    key_of,
    prove,
    readings,
    request_id_of,
    standing,
)
from candelabra.adapt.auditing import features_of
from candelabra.adapt.encode import FeatureEncoder
from candelabra.adapt.forget import Refit
from candelabra.adapt.keeper import Keeper
from candelabra.adapt.service import Ask, Jobs
from candelabra.adapt.slots import compact_slots, default_slots
from candelabra.engine.feature_cache import FeatureCache, cache_key
from candelabra.heads.store import HeadStore
from candelabra.limits import Limits
from candelabra.plugin import Domain, Task
from candelabra.registry import Forgetting as Lost
from candelabra.registry import Forgotten, Registry
from candelabra.types import (
    BackboneInfo,
    DatasetInfo,
    Example,
    JobInfo,
    OwnedName,
    TaskKind,
    VersionInfo,
)

LOG = logging.getLogger("candelabra.adapt")
SETTLE_SECONDS = 5.0  # how soon is seen what another server did
STATISTICS_SECONDS = 30.0
STATISTICS_ROWS = 50_000
OF_REFITS = ("penalty", "temperature", "prediction sets", "baselines", "drift reference")
LABELLED = (TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL, TaskKind.REGRESSION)


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to one request. `certificate` is plain JSON, see `forget.certificate`."""

    dataset: DatasetInfo
    forgotten: int
    jobs: Sequence[str]
    certificate: Mapping[str, object]


@dataclass(slots=True)
class Forgetting:
    """The use case. `refresh` tells the shelf that the registry has changed; `retired` hears the names of versions."""

    registry: Registry
    jobs: Jobs
    keeper: Keeper
    store: HeadStore
    refresh: Callable[[], object]
    encoder: FeatureEncoder
    cache: FeatureCache
    backbone: BackboneInfo
    limits: Limits
    folder: Path
    retired: Callable[[str], None] = lambda _: None
    _open: dict[str, Affair] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(
        self, name: OwnedName, ids: Sequence[str], texts: Sequence[str], request_id: str, everywhere: bool
    ) -> Done:
        """Goes on to its end where the caller leaves: half a forgetting would wait for the next start."""
        return await asyncio.shield(asyncio.create_task(self._forget(name, ids, texts, request_id, everywhere)))

    async def _forget(
        self, name: OwnedName, ids: Sequence[str], texts: Sequence[str], request_id: str, everywhere: bool
    ) -> Done:
        lost = await asyncio.to_thread(
            self.registry.datasets.forget, name, ids, texts, request_id, everywhere=everywhere
        )
        self.jobs.checked.clear()
        for one in lost.datasets:
            await asyncio.to_thread(self.keeper.drop, one.dataset)
        if lost.replayed and (known := await asyncio.to_thread(self._read, lost)):
            return known
        affair = await asyncio.to_thread(affair_of, self.registry, lost)
        if affair.plan.refits:
            self._open[key_of(lost.datasets[0])] = affair
        retired = await asyncio.to_thread(forget.retire_idle, self.registry, affair.plan)
        await self._gone(retired)
        jobs = await self._refits(affair)
        statistics: Mapping[str, object] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STATISTICS_SECONDS):
                statistics = await self._statistics(lost, affair)
        dropped = await self._drop(lost, affair)
        recomputed = [*(("statistics",) if statistics else ()), *(OF_REFITS if jobs else ())]
        proof = forget.certificate(lost, affair.plan, None, statistics, recomputed, dropped)
        info = await asyncio.to_thread(self.registry.datasets.get, name)
        done = Done(info, lost.rows, [job.name for job in jobs.values()], proof)
        await asyncio.to_thread(self._write, lost, done)
        return done

    async def delete(self, name: OwnedName) -> None:
        """A dataset and what its trainings left. Raises DatasetInUse while a job that has not ended needs it."""
        await asyncio.to_thread(self.registry.datasets.delete, name)
        await asyncio.to_thread(self.keeper.drop, name)

    # Until nothing old serves

    async def watch(self) -> None:
        """Takes up what a stop of the server left open, then retires versions as their refits are promoted."""
        with contextlib.suppress(errors.Error):
            await self.resume()
        while True:
            await self.jobs.happened.wait(SETTLE_SECONDS)
            try:
                await self.settle()
            except Exception:
                LOG.exception("could not retire versions that learned from forgotten rows; trying again")

    async def resume(self) -> None:
        """From the registry alone: versions in service, the rows that their datasets lost since."""
        affair = await asyncio.to_thread(everything_open, self.registry)
        await self._gone(await asyncio.to_thread(forget.retire_idle, self.registry, affair.plan))
        if affair.plan.refits:
            await self._refits(affair)
            self._open["resumed"] = affair

    async def settle(self) -> None:
        """Retires what no alias points at any more; jobs that could not be queued are asked for again."""
        async with self._turn:
            for key, affair in list(self._open.items()):
                if any(
                    request_id_of(affair.losses[one.version.name], one) not in self._asked for one in affair.plan.refits
                ):
                    await self._refits(affair)
                free, serving = await asyncio.to_thread(standing, self.registry, affair)
                if free:
                    plan = replace(affair.plan, affected=free, refits=())
                    made = await asyncio.to_thread(forget.settle, self.registry, plan, ())
                    await self._gone(made.retired)
                elif not serving:
                    self._open.pop(key, None)

    async def _gone(self, versions: Iterable[VersionInfo]) -> None:
        names = [version.name for version in versions]
        if not names:
            return
        await asyncio.to_thread(self.refresh)
        # Weights remember too: the files go at once, unless another version is the same to the last bit.
        kept = await asyncio.to_thread(self.registry.heads.digests)
        for digest in {version.digest for version in versions} - kept:
            await asyncio.to_thread(self.store.delete, digest)
        for name in names:
            self.retired(name)

    async def _refits(self, affair: Affair) -> dict[str, JobInfo]:
        """The jobs of a plan, made where there are none yet. One that cannot be made leaves its version serving."""
        jobs: dict[str, JobInfo] = {}
        for refit in affair.plan.refits:
            try:
                jobs[f"{refit.version.name}/{refit.alias}"] = await self._refit(refit, affair)
            except errors.Error as error:
                known = refit.version.name in self._told
                self._told.add(refit.version.name)
                LOG.log(
                    logging.DEBUG if known else logging.WARNING,
                    "a version that learned from forgotten rows cannot be trained again and still serves",
                    extra={"head": refit.version.name, "reason": error.reason, "error": error.message},
                )
        return jobs

    async def _refit(self, refit: Refit, affair: Affair) -> JobInfo:
        """The version's own job again, on what is left of its rows."""
        before = await self.jobs.get(refit.version.job)
        spec = before.spec
        request_id = request_id_of(affair.losses[refit.version.name], refit)
        held_out: Sequence[Example] | None = None
        if spec.validation:
            info = await asyncio.to_thread(self.registry.datasets.get, spec.validation)
            held_out = await asyncio.to_thread(self.registry.datasets.examples, spec.validation, info.next_position)
        ask = Ask(
            head=spec.head,
            domain=spec.domain,
            task=spec.task,
            method=spec.method,
            options=spec.options,
            dataset=spec.dataset,
            validation=held_out or None,
            alias=refit.alias,
            seed=spec.seed,
            request_id=request_id,
            gate=spec.gate,
            label_descriptions=spec.label_descriptions,
            budget_seconds=spec.budget_seconds,
            self_training=spec.self_training,
        )
        made = await asyncio.to_thread(asked_before, self.registry, spec.head, request_id)
        job = made or await self.jobs.start(ask)
        self._asked.add(request_id)
        return job

    # Proof

    async def _statistics(self, lost: Lost, affair: Affair) -> Mapping[str, object]:
        """Digests of the compact tier's sums before and after, and what an audit from scratch says of them.

        Empty where no labelled task is known of the rows, or they are too many to be read now.
        """
        named = lost.datasets[0]
        version = next((one for one in affair.plan.affected if one.dataset == str(named.dataset)), None)
        total = named.rows_left + len(named.positions)
        if version is None or version.kind not in LABELLED or not named.examples or total > STATISTICS_ROWS:
            return {}
        try:
            domain, task = self.jobs.task_of(version.domain, version.task)
            return await self._sums(named, domain, task)
        except errors.Error as error:
            LOG.info("no statistics of what was forgotten", extra={"reason": error.reason, "error": error.message})
            return {}

    async def _sums(self, named: Forgotten, domain: Domain, task: Task) -> Mapping[str, object]:
        info = await asyncio.to_thread(self.registry.datasets.get, named.dataset)
        left = await asyncio.to_thread(self.registry.datasets.numbered, named.dataset, info.next_position)
        gone = list(zip(named.positions, named.examples, strict=True))
        everything = [item for _, item in sorted([*left, *gone], key=lambda one: one[0])]
        before = await asyncio.to_thread(material.prepare, everything, domain, task, self.limits)
        after = await asyncio.to_thread(
            material.prepare, [item for _, item in left], domain, task, self.limits, labels=before.labels
        )
        slots = compact_slots(default_slots(self.backbone))
        both = [
            await features_of(self.encoder, one, task, slots, self.backbone.dimension, named.dataset.tenant)
            for one in (before, after)
        ]
        return await asyncio.to_thread(prove, self.backbone, slots, task, before, after, *both)

    async def _drop(self, lost: Lost, affair: Affair) -> int:
        """Features of the forgotten texts leave the cache, however a domain of the affected heads reads them."""
        examples = [item for one in lost.datasets for item in one.examples]
        tenant = lost.datasets[0].dataset.tenant
        speakers = {(version.domain, version.task) for version in affair.plan.affected} | {
            ("general", "classification")
        }
        keys: set[bytes] = set()
        for domain, task in speakers:
            with contextlib.suppress(errors.Error):
                for what in readings(examples, *self.jobs.task_of(domain, task)):
                    keys |= {cache_key(tenant, one.windows) for one in await self.encoder.tokenize(what)}
        return self.cache.drop(keys)

    # Certificates, which are kept: a request that comes again gets the same answer

    def _path(self, lost: Lost) -> Path:
        return self.folder / f"{key_of(lost.datasets[0])}.json"

    def _write(self, lost: Lost, done: Done) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {"forgotten": done.forgotten, "jobs": list(done.jobs), "certificate": dict(done.certificate)}
        draft = self._path(lost).with_suffix(".tmp")
        draft.write_text(json.dumps(about), encoding="utf-8")
        draft.replace(self._path(lost))

    def _read(self, lost: Lost) -> Done | None:
        try:
            about = json.loads(self._path(lost).read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        info = self.registry.datasets.get(lost.datasets[0].dataset)
        return Done(info, about["forgotten"], about["jobs"], about["certificate"])
