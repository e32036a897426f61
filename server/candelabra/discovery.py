"""Which domains are installed: entry points become domains, each with its distribution and version.

One unusable plugin stops the start: a server that silently left a domain out would fail its callers later,
far from the cause.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from candelabra.errors import BadPlugin, InvalidName
from candelabra.plugin import API_VERSION, GROUP, Domain, LongText, Task, TaskKind
from candelabra.types import check_name

_LABEL_METRIC = re.compile(r"accuracy|macro_f1|micro_f1|(?:f1|f2|recall)\[(?P<label>.+)\]")
_METRICS = {
    TaskKind.REGRESSION: ("pearson", "spearman", "r2"),
    TaskKind.ENTITIES: ("entity_f1",),
    TaskKind.ANSWER: ("token_f1",),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A domain, and what to name when something is odd about it."""

    domain: Domain
    distribution: str
    version: str


def load(group: str = GROUP, only: Collection[str] | None = None) -> Mapping[str, Found]:
    """Every installed domain by name, or those named in `only`; raises BadPlugin for one that cannot serve."""
    wanted = sorted(
        (point for point in entry_points(group=group) if only is None or point.name in only),
        key=lambda point: (point.name, _distribution(point)),
    )
    if missing := sorted(set(only or ()) - {point.name for point in wanted}):
        raise BadPlugin(
            f"No installed distribution brings the domain {missing[0]!r}: install its plugin into the server's "
            "environment, or leave it out of the domains to load.",
            plugin=missing[0],
        )
    _refuse_twins(wanted)
    return {point.name: _found(point) for point in wanted}


def problems(domain: Domain) -> list[str]:
    """What is wrong with a domain's definition, one sentence each; empty if it can serve."""
    if domain.api_version != API_VERSION:
        return [f"it was written for plugin API {domain.api_version!r}; this server offers {API_VERSION}"]
    found: list[str] = []
    name: object = getattr(domain, "name", None)
    if not _is_name(name):
        found.append(f"its name {name!r} is not 1 to 63 of a-z, 0-9, '-', '_' and '.'")
    tasks: object = domain.tasks
    if isinstance(tasks, str) or not isinstance(tasks, Collection) or not tasks:
        return [*found, "its `tasks` is not a non-empty tuple of Task"]
    for task in tasks:
        found += task_problems(task)
    names = [task.name for task in tasks if isinstance(task, Task)]
    found += [f"it has two tasks named {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    return found


def task_problems(task: object) -> list[str]:
    """What is wrong with one task, one sentence each."""
    if not isinstance(task, Task):
        return [f"{task!r} in its `tasks` is not a Task"]
    here = f"its task {task.name!r}"
    found: list[str] = []
    if not _is_name(task.name):
        found.append(f"{here} has a name that is not 1 to 63 of a-z, 0-9, '-', '_' and '.'")
    if task.kind not in set(TaskKind):
        found.append(f"{here} has the kind {task.kind!r}, which is not a TaskKind")
    if task.long_text not in set(LongText):
        found.append(f"{here} has long_text={task.long_text!r}, which is not a LongText")
    return found + _label_problems(task, here) + _metric_problems(task, here)


def _label_problems(task: Task, here: str) -> list[str]:
    if not isinstance(task.labels, tuple) or any(not isinstance(label, str) or not label for label in task.labels):
        return [f"{here} has labels that are not a tuple of non-empty strings"]
    if len(set(task.labels)) < len(task.labels):
        return [f"{here} names a label twice"]
    if len(task.labels) == 1 and task.kind == TaskKind.SINGLE_LABEL:
        return [f"{here} has one label only, so there is nothing to decide"]
    if task.ordered and (task.kind != TaskKind.SINGLE_LABEL or not task.labels):
        return [f"{here} is ordered, which needs one label a text and the labels named from lowest to highest"]
    if task.pair and task.kind not in (TaskKind.SINGLE_LABEL, TaskKind.REGRESSION):
        return [f"{here} is about pairs, which {task.kind.value} tasks cannot be"]
    return []


def _metric_problems(task: Task, here: str) -> list[str]:
    if task.kind in _METRICS:
        known = _METRICS[task.kind]
        return [] if task.metric in known else [f"{here} has the metric {task.metric!r}; use {' or '.join(known)}"]
    metric = _LABEL_METRIC.fullmatch(task.metric) if isinstance(task.metric, str) else None
    if metric is None:
        return [
            f"{here} has the metric {task.metric!r}; use accuracy, macro_f1, micro_f1, f1[LABEL], f2[LABEL] "
            "or recall[LABEL]"
        ]
    label = metric["label"]
    if label and task.labels and label not in task.labels:
        return [f"{here} is measured by {task.metric!r}, but has no label {label!r}"]
    if not 0.0 <= task.recall_floor < 1.0:
        return [f"{here} has a recall_floor of {task.recall_floor}; use 0 or a share below 1"]
    if task.recall_floor and not label:
        return [f"{here} has a recall_floor, but its metric {task.metric!r} names no LABEL to find"]
    if task.recall_floor and task.kind == TaskKind.SINGLE_LABEL and len(task.labels) != 2:
        return [f"{here} has a recall_floor, which a single-label task can only have with exactly two labels"]
    return []


def _found(point: EntryPoint) -> Found:
    try:
        loaded = point.load()
    except Exception as error:
        raise _bad(
            point, f"cannot be imported from {point.value!r} ({type(error).__name__}: {error})", "Repair"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Domain)):
        raise _bad(point, f"is {point.value!r}, which is not a subclass of candelabra.plugin.Domain", "Repair")
    try:
        domain = loaded()
    except Exception as error:
        raise _bad(point, f"cannot be made without arguments ({type(error).__name__}: {error})", "Repair") from error
    if wrong := problems(domain):
        newer = isinstance(domain.api_version, int) and domain.api_version > API_VERSION
        cure = "Upgrade candelabra to a version for" if newer else "Upgrade"
        raise _bad(point, f"cannot serve: {'; '.join(wrong)}", cure)
    if domain.name != point.name:
        raise _bad(point, f"calls itself {domain.name!r} in its class; both names must be the same", "Repair")
    return Found(domain, _distribution(point), _version(point))


def _refuse_twins(points: Iterable[EntryPoint]) -> None:
    first: dict[str, EntryPoint] = {}
    for point in points:
        if (other := first.setdefault(point.name, point)) is not point:
            raise BadPlugin(
                f"The domain {point.name!r} is registered twice: by {_label(other)} as {other.value!r} and by "
                f"{_label(point)} as {point.value!r}. Uninstall one of the two, or rename its domain.",
                plugin=point.name,
                distribution=_distribution(point),
            )


def _bad(point: EntryPoint, what: str, cure: str) -> BadPlugin:
    return BadPlugin(
        f"The domain {point.name!r} of {_label(point)} {what}. {cure} that distribution or uninstall it: "
        f"pip uninstall {_distribution(point)}.",
        plugin=point.name,
        distribution=_distribution(point),
        version=_version(point),
    )


def _label(point: EntryPoint) -> str:
    return f"{_distribution(point)} {_version(point)}"


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown distribution"


def _version(point: EntryPoint) -> str:
    return point.dist.version if point.dist else "?"


def _is_name(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(check_name("name", name))
    except InvalidName:
        return False
