"""AUTO: the cheap methods always, the others while the time budget lasts; the simplest of the best is the head."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from candelabra.adapt import race
from candelabra.adapt.methods import every
from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.race import Entrant
from candelabra.adapt.slots import compact_slots
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import Error, InvalidArgument
from candelabra.types import Method, Progress, TaskKind

SMALL = 200
"""With fewer rows networks are not raced: they cannot be told from a linear head, and cost a hundred times more."""


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """Races the methods that fit the task, cheap ones first; `chosen` tells the method and the race.

    A method that cannot be run on these rows is left out and named. Costs at most about `spec.budget_seconds`, as far
    as the costs of methods can be told before.
    """
    if spec.options:
        raise InvalidArgument("AUTO takes no parameters: name the method that they are for.", field="parameters")
    if len(data.targets) == 0:
        fitted = every.fit(Method.PROTOTYPE, data, replace(spec, method=Method.PROTOTYPE), tell)
        return replace(fitted, chosen={**fitted.chosen, "method": Method.PROTOTYPE.value})
    began = time.perf_counter()
    found: dict[Method, Fitted] = {}
    entrants: list[Entrant] = []
    failed: dict[str, str] = {}
    always, raced = methods(data, spec.task_kind)
    for step, method in enumerate((*always, *raced)):
        left = spec.budget_seconds - (time.perf_counter() - began)
        tokens = 0 if data.states is None else len(data.states.words)
        if method in raced and not race.affordable(method, tokens, left):
            continue
        started = time.perf_counter()
        try:
            fitted = _fit(method, data, replace(spec, method=method, budget_seconds=max(left, 1.0)), tell, found)
        except Error as error:
            failed[method.value] = error.reason
            continue
        found[method] = fitted
        entrants.append(_entrant(method, fitted, data, spec, time.perf_counter() - started))
        loss = float(np.mean(entrants[-1].losses))
        tell(Progress("train", step + 1, len(always) + len(raced), loss, {}, max(left, 0.0)))
    if not entrants:
        raise InvalidArgument(f"No method could learn from these rows: {failed}.", field="examples")
    best, means = race.winner(entrants, few=_few(data))
    fitted = found[best.method]
    chosen = {**fitted.chosen, "method": best.method.value, "race": race.words(entrants, means)}
    if failed:
        chosen["left_out"] = ", ".join(f"{name} ({reason})" for name, reason in failed.items())
    return replace(fitted, chosen=chosen)


def _fit(method: Method, data: TrainingSet, spec: TrainSpec, tell: Tell, found: Mapping[Method, Fitted]) -> Fitted:
    """One method; of the closed form the wide tier, where that is measurably better and takes a third of the time."""
    fitted = every.fit(method, data, spec, tell, found)
    if method is not Method.CLOSED_FORM or not _wide_pays(data, spec.budget_seconds / 3):
        return fitted
    wide = every.fit(method, data, replace(spec, options={"wide": True}), tell)
    gap = race.gap(_entrant(method, fitted, data, spec, 0.0), _entrant(method, wide, data, spec, 0.0))
    return wide if gap.mean() > race.standard_error(gap) else fitted


def _wide_pays(data: TrainingSet, left: float) -> bool:
    rows, slots, dimension = data.features.shape
    return slots > len(compact_slots(data.slots)) and race.affordable_wide(rows, slots * dimension, left)


def _entrant(method: Method, fitted: Fitted, data: TrainingSet, spec: TrainSpec, seconds: float) -> Entrant:
    lost = race.losses(fitted.logits, data.targets[fitted.rows], spec.task_kind)
    return Entrant(method, fitted.rows, lost, seconds)


def _few(data: TrainingSet) -> bool:
    return 0 < len(data.targets) <= race.FEW * len(data.labels)


def methods(data: TrainingSet, kind: TaskKind) -> tuple[tuple[Method, ...], tuple[Method, ...]]:
    """Those that always run and those that are raced, in the order in which they are tried.

    DENSE is not among them: on pooled vectors a network was never better than the linear heads, nor as well calibrated.
    """
    always = [Method.CLOSED_FORM]
    if kind is not TaskKind.REGRESSION:
        always += [Method.PROTOTYPE] * _few(data) + [Method.LOGREG]
    always.append(Method.HYBRID)
    deep = data.states is not None and len(data.targets) >= SMALL
    return tuple(always), (Method.TOP_K, Method.LAYER_MIX) if deep else ()
