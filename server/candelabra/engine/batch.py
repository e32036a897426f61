"""One batch through encoder and heads: every text encoded once, every head run once on its own rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from candelabra.engine.batcher import pack
from candelabra.engine.encoder import Encoded, Encoder
from candelabra.engine.feature_cache import FeatureCache
from candelabra.engine.row import Inputs, Row, Scorer, Scores, all_slots
from candelabra.engine.window import Window
from candelabra.errors import EngineFailed, Error, HeadUnsound
from candelabra.types import Slot

log = logging.getLogger(__name__)

States = tuple[np.ndarray, ...]


@dataclass(slots=True)
class Features:
    """`values` is float32 [texts, slots, dimension]; `text` tells which of the texts a row is.

    Texts from the cache may have only the slots that their rows need; the others are zero and nobody reads them.
    `states` has one array [tokens, layers, dimension] a window, of the texts whose token states some row reads.
    """

    values: np.ndarray
    columns: Mapping[Slot, int]
    text: Sequence[int]
    layers: tuple[int, ...] = ()
    states: Mapping[int, States] = field(default_factory=dict)

    def of(self, rows: Sequence[int], slots: Sequence[Slot]) -> np.ndarray:
        """[rows, slots, dimension]"""
        columns = [self.columns[slot] for slot in slots]
        if len(rows) == 1:
            return np.asarray(self.values[self.text[rows[0]]][columns][None])
        return np.asarray(self.values[np.array([self.text[row] for row in rows])[:, None], columns])

    def states_of(self, row: int, layers: tuple[int, ...]) -> States:
        """One array [tokens, layers, dimension] a window."""
        states = self.states[self.text[row]]
        if layers == self.layers:
            return states
        columns = [self.layers.index(layer) for layer in layers]
        return tuple(one[:, columns] for one in states)


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
    """Features of all rows. Equal texts are encoded once, known ones not at all; `between` is called meanwhile.

    Token states are not kept: a text that somebody reads them of is encoded, and its vectors come from that pass.
    """
    slots = all_slots(rows)
    columns = {slot: at for at, slot in enumerate(slots)}
    texts, text = _unique(rows)
    layers, readers = _readers(texts)
    values = np.zeros((len(texts), len(slots), encoder.info.dimension), np.float32)
    unknown = [
        at for at, group in enumerate(texts) if at in readers or not _from_cache(group, cache, columns, values[at])
    ]
    windows = [(at, window) for at in unknown for window in texts[at][0].windows]
    wanted = {k for k, (at, _) in enumerate(windows) if at in readers}
    encoded, work = _passes(
        [window for _, window in windows], (slots, layers, wanted), encoder, budget, padding_percent, between
    )
    sound = np.isfinite(encoded.pooled).all(axis=(1, 2))
    states: dict[int, States] = {}
    end = 0
    for at in unknown:
        begin, end = end, end + len(texts[at][0].windows)
        values[at] = combine(encoded.pooled[begin:end], texts[at][0].windows, slots)
        if at in readers:
            states[at] = tuple(encoded.states[k] for k in range(begin, end))
        if slots and (key := texts[at][0].cache_key) is not None and sound[begin:end].all():
            cache.put(key, {slot: values[at, column] for slot, column in columns.items()})
    return Features(values, columns, text, layers, states), work


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


def _readers(texts: Sequence[Sequence[Row]]) -> tuple[tuple[int, ...], set[int]]:
    """The layers whose token states somebody reads, and the texts that they are read of."""
    layers: set[int] = set()
    readers = set()
    for at, group in enumerate(texts):
        for row in group:
            if row.layers or any(scorer.layers for scorer in row.scorers):  # quicker than `reads` for the many without
                layers |= row.reads()
                readers.add(at)
    return tuple(sorted(layers)), readers


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
    windows: Sequence[Window],
    give: tuple[Sequence[Slot], tuple[int, ...], set[int]],
    encoder: Encoder,
    budget: int,
    padding_percent: int,
    between: Callable[[], None] | None,
) -> tuple[Encoded, Work]:
    """`give`: slots of all windows, and layers of the windows of which token states are wanted."""
    slots, layers, wanted = give
    if len(windows) == 1 and (slots or wanted):  # most requests
        made = encoder.encode(windows, slots, layers if wanted else (), sorted(wanted), between)
        return made, Work(len(windows[0].ids))
    whole = Encoded(np.zeros((len(windows), len(slots), encoder.info.dimension), np.float32), {})
    if not slots and not wanted:
        return whole, Work()
    lengths = [len(one.ids) for one in windows]
    work = Work(tokens=sum(lengths))
    for turn, group in enumerate(pack(lengths, min(budget, encoder.pass_tokens), padding_percent)):
        if turn and between:
            between()
        some = [k for k, at in enumerate(group) if at in wanted] if wanted else ()
        made = encoder.encode([windows[at] for at in group], slots, layers if some else (), some, between)
        whole.pooled[group] = made.pooled
        for k, states in made.states.items():
            whole.states[group[k]] = states
        work.padding += sum(max(lengths[other] for other in group) - lengths[at] for at in group)
    return whole, work


def combine(pooled: np.ndarray, windows: Sequence[Window], slots: Sequence[Slot]) -> np.ndarray:
    """One vector a slot for a text of several windows: means weigh windows by their tokens, CLS counts each once.

    Tokens in an overlap count in both of their windows.
    """
    if len(windows) == 1:
        return np.asarray(pooled[0])
    sizes = np.array([len(window) for window in windows], np.float32)
    by_size = np.tensordot(sizes / sizes.sum(), pooled, axes=1)
    is_mean = np.array([slot.pooling == "mean" for slot in slots], bool)
    return np.where(is_mean[:, None], by_size, pooled.mean(axis=0)).astype(np.float32)


def answer(rows: Sequence[Row], features: Features) -> dict[int, Error]:
    """Fills scores, features and states of every row; gives what went wrong by index of the row."""
    failures: dict[int, Error] = {}
    for row in rows:
        row.scores = [_NONE] * len(row.scorers)
    shared: dict[tuple[object, ...], Inputs] = {}  # heads of one kind on the same rows share theirs
    for scorer, places in _by_scorer(rows):
        chosen = [at for at, _ in places]
        wanted = (scorer.slots, scorer.layers, *chosen)
        if (inputs := shared.get(wanted)) is None:
            inputs = shared[wanted] = _inputs(rows, chosen, features, scorer)
        for (at, position), scores in zip(places, score(scorer, inputs), strict=True):
            if isinstance(scores, Error):
                failures[at] = scores
            else:
                rows[at].scores[position] = scores
    for at, row in enumerate(rows):
        if (row.slots or row.layers) and not _hand_back(row, at, features):
            failures[at] = EngineFailed("The encoder gave numbers that are not finite: check its files and its device.")
    return failures


_NONE = np.zeros(0, np.float32)


def _by_scorer(rows: Sequence[Row]) -> Iterator[tuple[Scorer, list[tuple[int, int]]]]:
    """Each scorer with its rows, and at which of the row's scorers it stands."""
    places: dict[int, tuple[Scorer, list[tuple[int, int]]]] = {}
    for at, row in enumerate(rows):
        for position, scorer in enumerate(row.scorers):
            places.setdefault(id(scorer), (scorer, []))[1].append((at, position))
    yield from places.values()


def _inputs(rows: Sequence[Row], chosen: Sequence[int], features: Features, scorer: Scorer) -> Inputs:
    return Inputs(
        features.of(chosen, scorer.slots).reshape(len(chosen), -1)
        if scorer.slots
        else np.zeros((len(chosen), 0), np.float32),
        [features.states_of(at, scorer.layers) for at in chosen] if scorer.layers else (),
        [rows[at].text for at in chosen],
        [rows[at].windows for at in chosen],
    )


def _hand_back(row: Row, at: int, features: Features) -> bool:
    """What the caller itself wants; False where the encoder gave no sound numbers."""
    if row.slots:
        row.features = features.of([at], row.slots)[0]
        if not np.isfinite(row.features).all():
            return False
    if row.layers:
        row.states = features.states_of(at, row.layers)
    return all(np.isfinite(one).all() for one in row.states)


def score(scorer: Scorer, inputs: Inputs) -> Sequence[Scores | Error]:
    """Scores of each row, or why it has none; one bad text does not spoil the others."""
    try:
        scores: Any = scorer.scores(inputs)
        if len(scores) != inputs.rows or (isinstance(scores, np.ndarray) and scores.ndim != 2):
            raise ValueError(f"{len(scores)} rows of scores for {inputs.rows} texts, or scores without columns")
        if isinstance(scores, np.ndarray) and np.isfinite(scores).all():
            return list(scores)
        return [one if _sound(one) else _unsound() for one in scores]
    except Exception:
        if inputs.rows > 1:
            return [one for at in range(inputs.rows) for one in score(scorer, _one(inputs, at))]
        log.exception("a head failed")
        return [_unsound()]


def _one(inputs: Inputs, at: int) -> Inputs:
    return replace(
        inputs,
        features=inputs.features[at : at + 1],
        states=inputs.states[at : at + 1],
        texts=inputs.texts[at : at + 1],
        windows=inputs.windows[at : at + 1],
    )


def _sound(scores: Scores) -> bool:
    if isinstance(scores, tuple):
        return all(one.ndim == 2 and np.isfinite(one).all() for one in scores)
    return bool(np.isfinite(scores).all())


def _unsound() -> HeadUnsound:
    return HeadUnsound("A head gave no finite numbers for a text: train it again or roll back to an earlier version.")
