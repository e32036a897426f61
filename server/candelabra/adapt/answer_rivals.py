"""A candidate that answers questions beside a constant, the sentence with most words in common, and its predecessor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from candelabra.adapt import gate
from candelabra.adapt.answering import exact_match, overlapping_sentence, sentences, token_f1
from candelabra.adapt.comparison import INCUMBENT, MAJORITY, Comparison
from candelabra.adapt.methods.span_material import Material
from candelabra.adapt.scores import DRAWS, LEVEL, Interval
from candelabra.adapt.training import Incumbent, TrainSpec
from candelabra.engine.window import Window
from candelabra.heads.bodies.span import SpanFinder
from candelabra.types import Span

OVERLAP = "sentence_overlap"
FEW_TEXTS = 10
"""With fewer texts questions are drawn instead: a handful of groups has no spread to speak of."""
NO_ANSWER = 0.5
"""From this probability of no answer on, none is given: it is likelier than all spans together."""


@dataclass(frozen=True, slots=True)
class Question:
    """`truths` are the words of the true answers, none where the text has none; `given` is the candidate's answer."""

    text: str
    question: str
    truths: tuple[str, ...]
    given: Span | None

    @property
    def words(self) -> str:
        return self.told(self.given)

    def told(self, span: Span | None) -> str:
        return self.text[span.start : span.end] if span else ""


@dataclass(frozen=True, eq=False)
class Scored:
    """The candidate's answers: `rows` digests and `at` places of the rows, `groups` int [n] says which rows share a
    text, `f1` and `exact` float [n], `right` and `probabilities` [n] for calibration."""

    questions: Sequence[Question]
    rows: np.ndarray
    at: np.ndarray
    groups: np.ndarray
    f1: np.ndarray
    exact: np.ndarray
    right: np.ndarray
    probabilities: np.ndarray

    def own(self, metric: str) -> np.ndarray:
        return self.exact if metric == "exact_match" else self.f1


def given(
    body: SpanFinder, logits: Sequence[np.ndarray], windows: Sequence[Window], text: str, temperature: float
) -> tuple[Span | None, float]:
    """The answer that counts, none where no answer is likelier than all spans together, and its probability."""
    best, none = body.answers(logits, windows, text, 1, temperature=temperature)
    return best[0] if best and none < NO_ANSWER else (None, none)


def decision(span: Span | None) -> tuple[int, int]:
    """An answer as the evidence keeps it."""
    return (span.start, span.end) if span else (-1, -1)


def simple(scored: Scored, spec: TrainSpec) -> list[Comparison]:
    """The better of two constants, which must be beaten, and the sentence with most words of the question."""
    nothing = _values(scored, spec.metric, lambda _: None)
    first = _values(scored, spec.metric, lambda one: next(iter(sentences(one.text)), None))
    constant, note = (nothing, "always no answer") if nothing.mean() > first.mean() else (first, "the first sentence")
    overlap = _values(scored, spec.metric, lambda one: overlapping_sentence(one.text, one.question))
    ours = scored.own(spec.metric)
    return [
        compared(MAJORITY, spec, ours, constant, scored.groups, note),
        compared(OVERLAP, spec, ours, overlap, scored.groups, "the sentence with most words of the question"),
    ]


def against(incumbent: Incumbent, scored: Scored, material: Material, spec: TrainSpec) -> Comparison:
    """The version that would be replaced, on rows that it had not learned from."""
    body, evidence = incumbent.head.body, incumbent.evidence
    known, places = np.zeros(len(scored.rows), bool), np.zeros(len(scored.rows), np.int64)
    fresh = np.ones(len(scored.rows), bool)
    if evidence is not None:
        known, places = evidence.find(scored.rows)
        if evidence.decisions.shape[1:] != (2,):
            known = np.zeros(len(scored.rows), bool)
        fresh = ~np.isin(scored.rows, evidence.trained) & ~known
    if not isinstance(body, SpanFinder) or any(layer not in material.states.layers for layer in body.layers):
        fresh[:] = False
    values = np.zeros(len(scored.rows))
    for at, one in enumerate(scored.questions):
        if known[at] and evidence is not None:
            start, end = map(int, evidence.decisions[places[at]])
            told = Span(start, end, "") if 0 <= start < end <= len(one.text) else None
        elif fresh[at] and isinstance(body, SpanFinder):
            row = int(scored.at[at])
            (logits,) = body.logits(material.inputs([row], body.layers))
            told, _ = given(body, logits, material.windows[row], one.text, incumbent.head.calibration.temperature)
        else:
            continue
        values[at] = _value(spec.metric, one.told(told), one.truths)
    both = known | fresh
    if not both.any():
        note = "No row could be compared with the version that would be replaced."
        return Comparison.nothing(INCUMBENT, spec.metric, note)
    return compared(INCUMBENT, spec, scored.own(spec.metric)[both], values[both], scored.groups[both])


def compared(
    name: str, spec: TrainSpec, ours: np.ndarray, theirs: np.ndarray, groups: np.ndarray, note: str = ""
) -> Comparison:
    """Values of both for the same questions."""
    must_win = name == MAJORITY
    level = gate.FEW_LEVEL if must_win and len(ours) < gate.FEW_ROWS else LEVEL
    gap = interval(ours - theirs, groups, spec.seed, level)
    rival = interval(theirs, groups, spec.seed)
    return Comparison(
        name, spec.metric, float(ours.mean()), rival, gap, len(ours), note, must_win=must_win, level=level
    )


def interval(values: np.ndarray, groups: np.ndarray, seed: int, level: float = LEVEL) -> Interval:
    """The mean with its interval, by drawing texts with all their questions: questions about one text are not
    independent (cluster bootstrap)."""
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < FEW_TEXTS:
        place = np.arange(len(values))
    sums, sizes = np.bincount(place, weights=values), np.bincount(place)
    drawn = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=DRAWS)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def _values(scored: Scored, metric: str, rule: Callable[[Question], Span | None]) -> np.ndarray:
    return np.array([_value(metric, one.told(rule(one)), one.truths) for one in scored.questions])


def _value(metric: str, words: str, truths: Sequence[str]) -> float:
    return exact_match(words, truths) if metric == "exact_match" else token_f1(words, truths)
