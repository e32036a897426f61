"""From scores of starts and ends to answers: spans of whole words and their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from candelabra.engine.window import Window
from candelabra.types import Span


@dataclass(frozen=True, eq=False)
class Spans:
    """Every span of whole words that a row's windows allow: `scores` float64 [m] with `first` and `last` word tokens
    as code points `starts` and `ends`; `none` is the score of no answer."""

    scores: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    none: float

    def log_total(self, temperature: float) -> float:
        return float(logsumexp(np.append(self.scores, self.none) / temperature))


def edges(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Tokens that begin a word of the text, and tokens that end one, bool [t] each."""
    if window.words is None or window.offsets is None:
        raise ValueError("the window was made without words: this is a bug")
    words = window.words
    inside = window.offsets[:, 0] >= 0
    changes = words[1:] != words[:-1]
    return inside & np.append(True, changes), inside & np.append(changes, True)


def spans(logits: Sequence[np.ndarray], windows: Sequence[Window], longest: int) -> Spans:
    """`logits` is one array [tokens, 2] a window. A span in two windows (they overlap) counts with its better score.

    `longest` is the most tokens of a span. Cost: tokens * longest a window.
    """
    scores, starts, ends = [], [], []
    for z, window in zip(logits, windows, strict=True):
        begins, stops = (np.flatnonzero(edge) for edge in edges(window))
        if len(begins) == 0:
            continue
        length = stops[None, :] - begins[:, None]
        first, last = np.nonzero((length >= 0) & (length < longest))
        first, last = begins[first], stops[last]
        offsets = np.asarray(window.offsets)
        scores.append(z[first, 0].astype(np.float64) + z[last, 1])
        starts.append(offsets[first, 0])
        ends.append(offsets[last, 1])
    none = float(logsumexp([float(z[0, 0]) + float(z[0, 1]) for z in logits]))
    if not scores:
        nothing = np.zeros(0, np.int64)
        return Spans(np.zeros(0), nothing, nothing, none)
    if len(scores) == 1:
        return Spans(scores[0], starts[0], ends[0], none)
    return Spans(*_distinct(np.concatenate(scores), np.concatenate(starts), np.concatenate(ends)), none)


def _distinct(scores: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.lexsort((-scores, ends, starts))
    scores, starts, ends = scores[order], starts[order], ends[order]
    new = np.append(True, (starts[1:] != starts[:-1]) | (ends[1:] != ends[:-1]))
    return scores[new], starts[new], ends[new]


def choose(found: Spans, top_k: int, temperature: float = 1.0) -> tuple[list[tuple[Span, float]], float]:
    """The `top_k` most probable answers, and the probability of no answer: a softmax over all spans and no answer.

    The span that shares most with all others in expectation (minimum Bayes risk) was tried and left: start and end
    are scored apart, so that much of the probability lies on spans that cross two candidates, and they outvote both.
    """
    total = found.log_total(temperature)
    none = float(np.exp(found.none / temperature - total))
    size = min(top_k, len(found.scores))
    if size < 1:
        return [], none
    best = np.argpartition(-found.scores, size - 1)[:size]
    best = best[np.lexsort((found.ends[best], found.starts[best], -found.scores[best]))]
    probabilities = np.exp(found.scores[best] / temperature - total)
    places = zip(found.starts[best].tolist(), found.ends[best].tolist(), probabilities.tolist(), strict=True)
    return [(Span(start, end, ""), probability) for start, end, probability in places], none
