"""From scores of starts and ends to answers: spans of whole words, their probabilities, and which to give first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from candelabra.engine.window import Window
from candelabra.types import Span

CANDIDATES = 64
NEVER = -1e30


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
    """The `top_k` answers with their probabilities, and the probability of no answer.

    Probabilities are a softmax over all spans and no answer. The first answer is the one that shares most with what
    the answer may be, in expectation over the candidates (minimum Bayes risk, Kumar and Byrne 2004): with a blurred
    score the most probable span is often one of many near misses. Probability orders the others.
    """
    total = found.log_total(temperature)
    none = float(np.exp(found.none / temperature - total))
    if len(found.scores) == 0 or top_k < 1:
        return [], none
    size = min(max(CANDIDATES, top_k), len(found.scores))
    best = np.argpartition(-found.scores, size - 1)[:size]
    best = best[np.lexsort((found.starts[best], -found.scores[best]))]
    probabilities = np.exp(found.scores[best] / temperature - total)
    starts, ends = found.starts[best], found.ends[best]
    first = int((shared(starts, ends) @ probabilities).argmax())
    order = [first, *(at for at in range(size) if at != first)][:top_k]
    return [(Span(int(starts[at]), int(ends[at]), ""), float(probabilities[at])) for at in order], none


def shared(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """F1 of each span as an answer where another is the truth, [m, m], counted in characters."""
    both = np.minimum(ends[:, None], ends) - np.maximum(starts[:, None], starts)
    sizes = (ends - starts).astype(np.float64)
    return np.asarray(2 * np.maximum(both, 0) / np.maximum(sizes[:, None] + sizes, 1))
