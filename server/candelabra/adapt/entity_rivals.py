"""What a tagger must beat: finding nothing, looking names up, and the version it would replace."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from candelabra.adapt import tagging
from candelabra.adapt.comparison import INCUMBENT, MAJORITY, Comparison, Recall
from candelabra.adapt.gate import CLASS_ROWS, FEW_LEVEL, FEW_ROWS
from candelabra.adapt.methods.token_lines import emissions, windows_of
from candelabra.adapt.scores import DRAWS, LEVEL, Interval
from candelabra.adapt.tagging import HIT, TRUE
from candelabra.adapt.training import Incumbent, TrainingSet
from candelabra.heads.bodies.tagger import Tagger
from candelabra.types import Span

LOOKUP = "lookup"
LONGEST = 12
"""Words of the longest name that is looked up."""
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, eq=False)
class Scored:
    """The candidate on rows `at` of a set: `counts` int64 [rows, types, 3] as tagging.counts gives them."""

    data: TrainingSet
    at: np.ndarray
    counts: np.ndarray

    @property
    def true(self) -> list[tuple[Span, ...]]:
        return [self.data.spans[row] for row in self.at.tolist()]


class Names:
    """Surface forms of a set's spans with the type that each has most often. The longest match wins."""

    def __init__(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> None:
        seen: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text, mine in zip(texts, spans, strict=True):
            for span in mine:
                words = tuple(WORD.findall(text[span.start : span.end]))
                if 0 < len(words) <= LONGEST:
                    seen[words][span.label] += 1
        self._types = {words: min(found, key=lambda kind: (-found[kind], kind)) for words, found in seen.items()}
        self._longest = max(map(len, self._types), default=0)

    def find(self, text: str) -> list[Span]:
        matches = list(WORD.finditer(text))
        words = [match[0] for match in matches]
        found: list[Span] = []
        at = 0
        while at < len(words):
            for size in range(min(self._longest, len(words) - at), 0, -1):
                kind = self._types.get(tuple(words[at : at + size]))
                if kind is not None:
                    found.append(Span(matches[at].start(), matches[at + size - 1].end(), kind))
                    at += size
                    break
            else:
                at += 1
        return found


def nothing(scored: Scored, metric: str, seed: int) -> Comparison:
    """Against finding no entity at all, which the candidate must measurably beat."""
    theirs = scored.counts.copy()
    theirs[..., :TRUE] = 0
    level = FEW_LEVEL if len(scored.at) < FEW_ROWS else LEVEL
    return compare(MAJORITY, metric, scored.counts, theirs, seed, must_win=True, level=level)


def lookup(scored: Scored, learnt: TrainingSet, fold: np.ndarray | None, metric: str, seed: int) -> Comparison:
    """Against a dictionary of the names in the rows that the candidate's network had learned from.

    `fold` int64 [n] says which network scored a row of `learnt`; None: the scored rows are of another set.
    """
    data = scored.data
    found: list[list[Span]] = []
    if fold is None:
        names = Names(learnt.texts, learnt.spans)
        found = [names.find(data.texts[row]) for row in scored.at.tolist()]
    else:
        of_fold = {}
        for one in np.unique(fold[scored.at]).tolist():
            rows = np.flatnonzero(fold != one).tolist()
            of_fold[one] = Names([learnt.texts[row] for row in rows], [learnt.spans[row] for row in rows])
        found = [of_fold[int(fold[row])].find(data.texts[row]) for row in scored.at.tolist()]
    theirs = tagging.counts(scored.true, found, data.labels)
    return compare(LOOKUP, metric, scored.counts, theirs, seed, note="a dictionary of the names in the same examples")


def against(incumbent: Incumbent, scored: Scored, metric: str, seed: int) -> Comparison:
    """Both versions on the entity types that both know, where the incumbent's spans are fair: those that it gave
    before it learned from the row, or that it gives now for a row that it never saw."""
    data, body, evidence = scored.data, incumbent.head.body, incumbent.evidence
    shared = [kind for kind in data.labels if kind in incumbent.head.labels]
    digests = data.rows[scored.at]
    theirs = np.zeros_like(scored.counts)
    known = np.zeros(len(digests), bool)
    unseen = np.ones(len(digests), bool)
    if evidence is not None:
        kept, place = evidence.find(digests)
        unseen = ~kept & ~np.isin(digests, evidence.trained)
        fits = evidence.decisions.shape == (len(evidence.rows), 3 * len(evidence.labels))
        if kept.any() and fits and evidence.labels == incumbent.head.labels:
            stored = evidence.decisions.reshape(len(evidence.rows), -1, 3)[place[kept]]
            for kind in shared:
                theirs[kept, data.labels.index(kind)] = stored[:, evidence.labels.index(kind)]
            known |= kept
    reads = data.states is not None and set(body.layers) <= set(data.states.layers)
    if isinstance(body, Tagger) and reads and shared and unseen.any():
        found = spans_of(body, data, scored.at[unseen])
        true = [data.spans[row] for row in scored.at[unseen].tolist()]
        theirs[unseen] = tagging.counts(true, found, data.labels)
        known |= unseen
    if not shared or not known.any():
        return Comparison.nothing(INCUMBENT, metric, "No row could be compared with the version it would replace.")
    columns = [data.labels.index(kind) for kind in shared]
    ours, theirs = scored.counts[known][:, columns], theirs[known][:, columns]
    note = "" if len(shared) == len(data.labels) == len(incumbent.head.labels) else f"on {len(shared)} shared types"
    return compare(INCUMBENT, metric, ours, theirs, seed, note=note, recalls=_recalls(ours, theirs, shared))


def spans_of(body: Tagger, data: TrainingSet, rows: np.ndarray) -> list[list[Span]]:
    """What a tagger finds in rows whose token states are there."""
    states = data.states
    if states is None:
        return [[] for _ in rows]
    emitted = emissions(body, data.texts, states, rows.tolist())
    return [
        [span for span, _ in body.entities(one, windows_of(states, row), data.texts[row])]
        for row, one in zip(rows.tolist(), emitted, strict=True)
    ]


def compare(
    name: str,
    metric: str,
    ours: np.ndarray,
    theirs: np.ndarray,
    seed: int,
    *,
    note: str = "",
    recalls: tuple[Recall, ...] = (),
    must_win: bool = False,
    level: float = LEVEL,
) -> Comparison:
    """Counts [rows, types, 3] of both side by side, with intervals of a paired bootstrap over rows."""
    mine, rival = float(tagging.f1(ours.sum(axis=0))), float(tagging.f1(theirs.sum(axis=0)))
    drawn = _drawn(np.stack([ours, theirs], axis=1), seed)
    gap = drawn[:, 0] - drawn[:, 1]
    return Comparison(
        name,
        metric,
        mine,
        _spread(rival, drawn[:, 1], LEVEL),
        _spread(mine - rival, gap, level),
        len(ours),
        note,
        recalls,
        must_win,
        level,
    )


def interval(counts: np.ndarray, seed: int) -> Interval:
    """Entity F1 of counts [rows, types, 3] with its 95 % interval, bootstrapped over rows."""
    return _spread(float(tagging.f1(counts.sum(axis=0))), _drawn(counts[:, None], seed)[:, 0], LEVEL)


def _drawn(counts: np.ndarray, seed: int) -> np.ndarray:
    """F1 of each draw and each finder, [DRAWS, finders], from counts [rows, finders, types, 3]."""
    rows, sizes = np.unique(counts.sum(axis=2).reshape(len(counts), -1), axis=0, return_counts=True)
    weights = np.random.default_rng(seed).multinomial(int(sizes.sum()), sizes / sizes.sum(), size=DRAWS)
    return tagging.f1((weights @ rows).reshape(DRAWS, counts.shape[1], 1, 3))


def _recalls(ours: np.ndarray, theirs: np.ndarray, types: Sequence[str]) -> tuple[Recall, ...]:
    """Entities of each type lost and won; within a row what is lost and what is won is set off."""
    found = []
    for at, kind in enumerate(types):
        if int(ours[:, at, TRUE].sum()) >= CLASS_ROWS:
            change = ours[:, at, HIT] - theirs[:, at, HIT]
            found.append(Recall(kind, int(-change[change < 0].sum()), int(change[change > 0].sum())))
    return tuple(found)


def _spread(at: float, drawn: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(at, float(low), float(high))
