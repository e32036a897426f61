"""Which versions had learned from rows that were forgotten, read from the registry alone, and how that is proved."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from candelabra.adapt import forget
from candelabra.adapt.encode import Texts
from candelabra.adapt.forget import Plan, Refit
from candelabra.adapt.material import Material
from candelabra.adapt.service import parse_job
from candelabra.errors import NotFound
from candelabra.plugin import Domain, Task
from candelabra.registry import Forgetting as Lost
from candelabra.registry import Forgotten, Registry
from candelabra.types import (
    BackboneInfo,
    Example,
    HeadRef,
    JobInfo,
    LongText,
    OwnedName,
    Reading,
    Slot,
    TaskKind,
    VersionInfo,
)


@dataclass(frozen=True, slots=True)
class Affair:
    """Versions that had learned from forgotten rows, and for each the latest loss that it is affected by."""

    plan: Plan
    losses: Mapping[str, Forgotten]


def affair_of(registry: Registry, lost: Lost) -> Affair:
    pairs = [(one, version) for one in lost.datasets for version in registry.heads.trained_on(one.dataset)]
    return _affair(registry, pairs)


def everything_open(registry: Registry) -> Affair:
    """All losses that a version in service is affected by. Two short queries a dataset."""
    known: dict[OwnedName, Sequence[Forgotten]] = {}
    pairs: list[tuple[Forgotten, VersionInfo]] = []
    for _, versions in registry.heads.snapshot()[1]:
        for version in versions:
            for name in () if version.retired else _read_by(version):
                if name not in known:
                    known[name] = registry.datasets.forgotten(name)
                pairs += [(lost, version) for lost in known[name]]
    return _affair(registry, pairs)


def _read_by(version: VersionInfo) -> list[OwnedName]:
    """The datasets that a version was made of, or judged on."""
    names = [OwnedName.parse(version.dataset, "dataset")] if version.dataset else []
    if version.job:
        tenant, id_ = parse_job(version.job)
        names.append(OwnedName(tenant, f"job-{id_}-validation"))
    return names


def _affair(registry: Registry, pairs: Iterable[tuple[Forgotten, VersionInfo]]) -> Affair:
    found: dict[str, VersionInfo] = {}
    losses: dict[str, Forgotten] = {}
    for lost, version in pairs:
        # Versions made after the rows were gone never saw them.
        if version.created > lost.time or not forget.affected_by(lost, [version]):
            continue
        found[version.name] = version
        before = losses.get(version.name)
        if before is None or (before.time, str(before.dataset)) < (lost.time, str(lost.dataset)):
            losses[version.name] = lost
    heads = {version.head: registry.heads.get(version.head) for version in found.values()}
    return Affair(forget.lay_out(list(found.values()), heads), losses)


def standing(registry: Registry, affair: Affair) -> tuple[list[VersionInfo], list[VersionInfo]]:
    """Affected versions that may be retired now, and those that an alias still points at. Reads only."""
    free: list[VersionInfo] = []
    serving: list[VersionInfo] = []
    for one in affair.plan.affected:
        with contextlib.suppress(NotFound):  # deleted meanwhile: nothing serves
            now = registry.heads.version(HeadRef(one.head, one.version))
            if not now.retired:
                pointed = one.version in registry.heads.get(one.head).aliases.values()
                (serving if pointed else free).append(now)
    return free, serving


def asked_before(registry: Registry, head: OwnedName, request_id: str) -> JobInfo | None:
    """The newest jobs of a head hold its refit, if there is one: what was asked then may look different now."""
    for job in registry.jobs.list(head.tenant, head, (), 100).items:
        if job.spec.request_id == request_id:
            return job
    return None


def request_id_of(lost: Forgotten, refit: Refit) -> str:
    named = hashlib.sha256(f"{refit.version.name}/{refit.alias}".encode()).hexdigest()
    return f"forget-{lost.removed[:24]}-{named[:16]}"


def key_of(named: Forgotten) -> str:
    return hashlib.sha256(f"{named.dataset}\0{named.removed}".encode()).hexdigest()


# Proof


def prove(
    backbone: BackboneInfo,
    slots: tuple[Slot, ...],
    task: Task,
    before: Material,
    after: Material,
    had: np.ndarray,
    has: np.ndarray,
) -> Mapping[str, object]:
    from candelabra.adapt.online import Online, Space

    soft = before.weights is not None or after.weights is not None
    online = Online(Space(backbone.fingerprint, slots, backbone.dimension, task.kind, before.labels, soft))
    truth = [one.targets if one.weights is None else one.weights for one in (before, after)]
    online.append(before.rows, had, truth[0])
    digest = online.statistics.digest
    online.forget(np.setdiff1d(before.rows, after.rows))
    new = ~np.isin(after.rows, before.rows)
    online.append(after.rows[new], has[new], truth[1][new])
    online.refit(search=True)
    proof = online.audit()
    return {"digest_before": digest, "digest_after": proof.kept, "residual": proof.residual}


def readings(examples: Sequence[Example], domain: Domain, task: Task) -> list[Texts]:
    """Every way in which the encoder may have read these examples for a task, prepared and as they came."""
    firsts = [item.text for item in examples]
    seconds = [item.text_pair for item in examples]
    single = list(dict.fromkeys(text for text in (*firsts, *seconds) if text.strip()))
    single += [prepared for text in single if (prepared := domain.prepare(text, task)) != text]
    found = [Texts(single, long_text=one) for one in LongText] if single else []
    pairs = [(a, b) for a, b in zip(firsts, seconds, strict=True) if b]
    if pairs:
        pairs += [(domain.prepare(a, task), domain.prepare(b, task)) for a, b in pairs]
        texts, others = zip(*pairs, strict=True)
        found += [Texts(texts, Reading.JOINT, one, others) for one in LongText]
    asked = [(item.text, item.question) for item in examples if item.question]
    if asked:
        texts, others = zip(*asked, strict=True)
        found.append(Texts(texts, Reading.QUESTION, seconds=others, offsets=True))
    if task.kind is TaskKind.ENTITIES and single:
        found.append(Texts(single, offsets=True))
    return found
