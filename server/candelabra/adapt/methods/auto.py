"""AUTO: the cheap methods always, the others while the time budget lasts; the simplest of the best is the head."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from candelabra.adapt import race
from candelabra.adapt.methods import every
from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.race import Entrant
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import Error, InvalidArgument
from candelabra.types import Method, Progress, TaskKind

FEW = 32
"""Rows a label up to which means of labels, drawn to the labels' names, are worth a try."""
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
        if method in raced and not race.affordable(method, len(data.targets), len(data.labels), tokens, left):
            continue
        started = time.perf_counter()
        try:
            fitted = every.fit(method, data, replace(spec, method=method), tell)
        except Error as error:
            failed[method.value] = error.reason
            continue
        lost = race.losses(fitted.logits, data.targets[fitted.rows], spec.task_kind)
        found[method] = fitted
        entrants.append(Entrant(method, fitted.rows, lost, time.perf_counter() - started))
        tell(Progress("train", step + 1, len(always) + len(raced), float(np.mean(lost)), {}, max(left, 0.0)))
    if not entrants:
        raise InvalidArgument(f"No method could learn from these rows: {failed}.", field="examples")
    best, means = race.winner(entrants)
    fitted = found[best.method]
    chosen = {**fitted.chosen, "method": best.method.value, "race": race.words(entrants, means)}
    if failed:
        chosen["left_out"] = ", ".join(f"{name} ({reason})" for name, reason in failed.items())
    return replace(fitted, chosen=chosen)


def methods(data: TrainingSet, kind: TaskKind) -> tuple[tuple[Method, ...], tuple[Method, ...]]:
    """Those that always run and those that are raced, in the order in which they are tried."""
    always = [Method.CLOSED_FORM]
    labels = kind is not TaskKind.REGRESSION
    if labels and len(data.targets) <= FEW * len(data.labels):
        always.append(Method.PROTOTYPE)
    always.append(Method.HYBRID)
    raced = [Method.LOGREG] if labels else []
    if len(data.targets) >= SMALL:
        raced.append(Method.DENSE)
        if data.states is not None:
            raced += [Method.LAYER_MIX, Method.TOP_K]
    return tuple(always), tuple(raced)
