"""One batch through encoder and heads: every text encoded once, every head run once on its own rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from candelabra.engine.batcher import pack
from candelabra.engine.encoder import Encoder
from candelabra.engine.feature_cache import FeatureCache
from candelabra.engine.row import Row, Scorer, all_slots
from candelabra.errors import EngineFailed, Error, HeadUnsound
from candelabra.types import Slot

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Features:
    """`values` is float32 [texts, slots, dimension]; `text` tells which of the texts a row is.

    Texts from the cache may have only the slots that their rows need; the others are zero and nobody reads them.
    """

    values: np.ndarray
    columns: Mapping[Slot, int]
    text: Sequence[int]

    def of(self, rows: Sequence[int], slots: Sequence[Slot]) -> np.ndarray:
        """[rows, slots, dimension]"""
        columns = [self.columns[slot] for slot in slots]
        if len(rows) == 1:
            return np.asarray(self.values[self.text[rows[0]]][columns][None])
        return np.asarray(self.values[np.array([self.text[row] for row in rows])[:, None], columns])


@dataclass(slots=True)
class Work:
    """What the encoder did for a batch."""

    tokens: int = 0
    padding: int = 0


def encode(
    rows: Sequence[Row],
    encoder: Encoder,
    cache: FeatureCache,
    budget: int,
    padding_percent: int,
    between: Callable[[], None] | None = None,
) -> tuple[Features, Work]:
    """Features of all rows. Equal texts are encoded once, known ones not at all; `between` is called meanwhile."""
    slots = all_slots(rows)
    columns = {slot: at for at, slot in enumerate(slots)}
    texts, text = _unique(rows)
    values = np.zeros((len(texts), len(slots), encoder.info.dimension), np.float32)
    unknown = [at for at, group in enumerate(texts) if not _from_cache(group, cache, columns, values[at])]
    windows = [(at, window) for at in unknown for window in texts[at][0].windows]
    pooled, work = _passes([window for _, window in windows], slots, encoder, budget, padding_percent, between)
    sound = np.isfinite(pooled).all(axis=(1, 2))
    end = 0
    for at in unknown:
        begin, end = end, end + len(texts[at][0].windows)
        values[at] = combine(pooled[begin:end], texts[at][0].windows, slots)
        if (key := texts[at][0].cache_key) is not None and sound[begin:end].all():
            cache.put(key, {slot: values[at, column] for slot, column in columns.items()})
    return Features(values, columns, text), work


def _unique(rows: Sequence[Row]) -> tuple[list[list[Row]], list[int]]:
    """Groups of rows with the same text, and the group of each row."""
    groups: dict[object, int] = {}
    texts: list[list[Row]] = []
    text = []
    for row in rows:
        at = groups.setdefault(row.cache_key or id(row), len(texts))
        if at == len(texts):
            texts.append([])
        texts[at].append(row)
        text.append(at)
    return texts, text


def _from_cache(group: Sequence[Row], cache: FeatureCache, columns: Mapping[Slot, int], into: np.ndarray) -> bool:
    key = group[0].cache_key
    if key is None or not cache.capacity:
        return False
    needed = set().union(*(row.needs() for row in group))
    if (known := cache.get(key, needed)) is None:
        return False
    for slot in needed:
        into[columns[slot]] = known[slot]
    return True


def _passes(
    ids: Sequence[np.ndarray],
    slots: Sequence[Slot],
    encoder: Encoder,
    budget: int,
    padding_percent: int,
    between: Callable[[], None] | None,
) -> tuple[np.ndarray, Work]:
    pooled = np.zeros((len(ids), len(slots), encoder.info.dimension), np.float32)
    lengths = [len(one) for one in ids]
    work = Work(tokens=sum(lengths))
    if not slots:
        return pooled, Work()
    for turn, group in enumerate(pack(lengths, min(budget, encoder.pass_tokens), padding_percent)):
        if turn and between:
            between()
        pooled[group] = encoder.encode([ids[at] for at in group], slots, between)
        work.padding += sum(max(lengths[other] for other in group) - lengths[at] for at in group)
    return pooled, work


def combine(pooled: np.ndarray, windows: Sequence[np.ndarray], slots: Sequence[Slot]) -> np.ndarray:
    """One vector a slot for a text of several windows: means weigh windows by their tokens, CLS counts each once.

    Tokens in an overlap count in both of their windows.
    """
    if len(windows) == 1:
        return np.asarray(pooled[0])
    sizes = np.array([len(window) for window in windows], np.float32)
    by_size = np.tensordot(sizes / sizes.sum(), pooled, axes=1)
    is_mean = np.array([slot.pooling == "mean" for slot in slots])
    return np.where(is_mean[:, None], by_size, pooled.mean(axis=0)).astype(np.float32)


def answer(rows: Sequence[Row], features: Features) -> dict[int, Error]:
    """Fills scores and features of every row; gives what went wrong by index of the row."""
    failures: dict[int, Error] = {}
    for row in rows:
        row.scores = [_NONE] * len(row.scorers)
    inputs: dict[tuple[object, ...], np.ndarray] = {}  # heads of one kind on the same rows share theirs
    for scorer, places in _by_scorer(rows):
        chosen = [at for at, _ in places]
        wanted = (scorer.slots, *chosen)
        if wanted not in inputs:
            inputs[wanted] = features.of(chosen, scorer.slots).reshape(len(chosen), -1)
        for (at, position), scores in zip(places, _scores(scorer, inputs[wanted]), strict=True):
            if isinstance(scores, Error):
                failures[at] = scores
            else:
                rows[at].scores[position] = scores
    for at, row in enumerate(rows):
        if row.slots:
            row.features = features.of([at], row.slots)[0]
            if not np.isfinite(row.features).all():
                failures[at] = EngineFailed(
                    "The encoder gave numbers that are not finite: check its files and its device."
                )
    return failures


_NONE = np.zeros(0, np.float32)


def _by_scorer(rows: Sequence[Row]) -> Iterator[tuple[Scorer, list[tuple[int, int]]]]:
    """Each scorer with its rows, and at which of the row's scorers it stands."""
    places: dict[int, tuple[Scorer, list[tuple[int, int]]]] = {}
    for at, row in enumerate(rows):
        for position, scorer in enumerate(row.scorers):
            places.setdefault(id(scorer), (scorer, []))[1].append((at, position))
    yield from places.values()


def _scores(scorer: Scorer, inputs: np.ndarray) -> Sequence[np.ndarray | Error]:
    try:
        scores = np.asarray(scorer.scores(inputs))
        if scores.ndim != 2 or len(scores) != len(inputs):
            raise ValueError(f"scores of shape {scores.shape} for {len(inputs)} texts")
    except Exception:
        if len(inputs) > 1:  # one bad text must not spoil the others of this head
            return [one for at in range(len(inputs)) for one in _scores(scorer, inputs[at : at + 1])]
        log.exception("a head failed")
        return [_unsound()]
    if np.isfinite(scores).all():
        return list(scores)
    return [one if np.isfinite(one).all() else _unsound() for one in scores]


def _unsound() -> HeadUnsound:
    return HeadUnsound("A head gave no finite numbers for a text: train it again or roll back to an earlier version.")
