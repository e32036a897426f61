"""After rows were forgotten: which versions had learned from them, and how these leave without a gap in service.

The order is what keeps heads serving: versions that no alias points at retire at once; for those that serve a refit is
trained without the rows and has to pass the gate like any other; only when it is promoted does the old version retire.
A refit that is refused leaves the old version in service, and the certificate says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from candelabra.registry import Forgetting, Forgotten, Registry
from candelabra.types import HeadInfo, JobInfo, JobState, Method, OwnedName, VersionInfo

EXACT = frozenset({Method.CLOSED_FORM.value, Method.PROTOTYPE.value})
"""Methods whose head is a function of the statistics: without the rows it is what it would be had they never come."""


@dataclass(frozen=True, slots=True)
class Refit:
    """One job to start: the head's version that `alias` points at is made anew from what is left of its dataset."""

    version: VersionInfo
    alias: str

    @property
    def dataset(self) -> OwnedName:
        return OwnedName.parse(self.version.dataset, "dataset")

    @property
    def exact(self) -> bool:
        return self.version.method in EXACT


@dataclass(frozen=True, slots=True)
class Plan:
    """`affected` are all versions that had learned from a forgotten row, or had been judged on one."""

    affected: Sequence[VersionInfo]
    idle: Sequence[VersionInfo]
    refits: Sequence[Refit]


@dataclass(frozen=True, slots=True)
class Settled:
    """`waiting`, version to sentence: affected versions that still serve, and why."""

    retired: Sequence[VersionInfo]
    waiting: Mapping[str, str]


def affected_by(lost: Forgotten, versions: Sequence[VersionInfo]) -> list[VersionInfo]:
    """Those of the dataset's versions that a lost row went into, retired ones left out.

    A version read the positions below its `dataset_rows`; one that was only judged on the dataset read them all.
    """
    if not lost.positions:
        return []
    first = min(lost.positions)
    return [
        version
        for version in versions
        if not version.retired and (version.dataset != str(lost.dataset) or first < version.dataset_rows)
    ]


def lay_out(affected: Sequence[VersionInfo], heads: Mapping[OwnedName, HeadInfo]) -> Plan:
    """What is to be done about the versions, from where the aliases point."""
    idle: list[VersionInfo] = []
    refits: list[Refit] = []
    for version in affected:
        aliases = [name for name, number in heads[version.head].aliases.items() if number == version.version]
        refits += [Refit(version, alias) for alias in sorted(aliases)]
        if not aliases:
            idle.append(version)
    return Plan(tuple(affected), tuple(idle), tuple(refits))


def plan(registry: Registry, forgetting: Forgetting) -> Plan:
    """Reads lineage and aliases. A replayed request gives the plan anew, without what has retired since."""
    found: dict[str, VersionInfo] = {}
    for lost in forgetting.datasets:
        for version in affected_by(lost, registry.heads.trained_on(lost.dataset)):
            # Versions made after the rows were gone never saw them.
            if version.created <= lost.time:
                found[version.name] = version
    names = {version.head for version in found.values()}
    return lay_out(list(found.values()), {name: registry.heads.get(name) for name in names})


def retire_idle(registry: Registry, plan: Plan) -> Sequence[VersionInfo]:
    """The first step, before any refit: what nobody is served by goes at once."""
    return registry.heads.retire([(one.head, one.version) for one in plan.idle], _why(plan)).versions


def settle(registry: Registry, plan: Plan, jobs: Sequence[JobInfo]) -> Settled:
    """The last step, when the refits have ended, and at any time before: retires what no alias points at any more."""
    done = registry.heads.retire([(one.head, one.version) for one in plan.affected], _why(plan))
    by_head = {(job.spec.head, job.spec.alias): job for job in jobs}
    waiting: dict[str, str] = {}
    for version in done.serving:
        told = [
            _waits(by_head.get((version.head, refit.alias)), refit)
            for refit in plan.refits
            if refit.version.name == version.name
        ]
        waiting[version.name] = " ".join(told) or "An alias points at it since: move the alias, then forget again."
    return Settled(done.versions, waiting)


def certificate(
    forgetting: Forgetting,
    plan: Plan,
    settled: Settled | None = None,
    statistics: Mapping[str, object] | None = None,
    recomputed: Sequence[str] = (),
    features_dropped: int = 0,
) -> dict[str, object]:
    """What was forgotten, as plain JSON without any text. `statistics`: digests before and after, and the residual."""
    named = forgetting.datasets[0]
    return {
        "time": _moment(named.time),
        "dataset": str(named.dataset),
        "rows_before": named.rows_left + len(named.positions),
        "rows_after": named.rows_left,
        "missing": forgetting.missing,
        "everywhere": {str(one.dataset): len(one.positions) for one in forgetting.datasets[1:]},
        "removed_digests": {str(one.dataset): one.removed for one in forgetting.datasets},
        "affected_versions": [one.name for one in plan.affected],
        # Trained by gradient: not what retraining by formula would give to the last bit, but trained without the rows.
        "retrained_versions": sorted({one.version.name for one in plan.refits if not one.exact}),
        "exact_versions": sorted({one.version.name for one in plan.refits if one.exact}),
        "retired_versions": [one.name for one in settled.retired] if settled else [],
        "waiting_versions": dict(settled.waiting) if settled else {},
        "jobs_begun_again": forgetting.sent_back,
        "recomputed": list(recomputed),
        "features_dropped": features_dropped,
        **(statistics or {}),
    }


def _waits(job: JobInfo | None, refit: Refit) -> str:
    if job is None:
        return f"No refit for the alias {refit.alias!r} was started."
    if not job.state.ended:
        return f"Its refit {job.name} has not ended."
    if job.state is JobState.SUCCEEDED:
        return f"Its refit {job.name} was not promoted, or the alias {refit.alias!r} was moved back."
    why = job.failure.message if job.failure else ""
    ending = "was refused by the gate" if job.state is JobState.REJECTED else f"ended as {job.state.value}"
    return f"Its refit {job.name} {ending}: {why}".strip()


def _why(plan: Plan) -> str:
    names = sorted({one.dataset for one in plan.affected if one.dataset})
    return f"rows of {', '.join(names[:3]) or 'its dataset'} were forgotten"


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
