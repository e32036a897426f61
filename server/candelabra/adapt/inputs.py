"""What a body reads, made from training rows as the engine makes it from requests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from candelabra.adapt.slots import compact_slots
from candelabra.adapt.training import TokenStates, TrainingSet
from candelabra.engine.row import Inputs
from candelabra.engine.window import Window
from candelabra.heads.body import Body
from candelabra.heads.outside import Outside
from candelabra.types import Reading


def inputs_of(data: TrainingSet, body: Body, rows: np.ndarray, reading: Reading = Reading.TEXT) -> Inputs | None:
    """The inputs of some rows; None where the body reads what was not encoded.

    Of a reading with two single texts the features are those of the first, then those of the second, side by side.
    """
    if any(slot not in data.slots for slot in body.slots):
        return None
    at = [data.slots.index(slot) for slot in body.slots]
    sources: Sequence[np.ndarray | None] = (data.features,)
    if reading is Reading.SEPARATE:
        sources = (data.first, data.second)
    picked: list[np.ndarray] = []
    for source in sources:
        if source is None:
            return None
        part = np.asarray(source[rows], np.float32)[:, at]
        picked.append(part.reshape(len(rows), -1))
    features = np.concatenate(picked, axis=1)
    if not body.layers:
        return Inputs(features, texts=texts_of(data, rows))
    if data.states is None or any(layer not in data.states.layers for layer in body.layers):
        return None
    states = [states_of(data.states, int(row), body.layers) for row in rows]
    return Inputs(features, states, texts_of(data, rows), [windows_of(data.states, int(row)) for row in rows])


def usual(data: TrainingSet, seed: int) -> Outside | None:
    """What the texts of a set are like, by its compact slots; None where there are too few, or no vectors of them.

    Two layers tell other domains apart better than the last alone: a text may be strange in words or in meaning.
    """
    slots = compact_slots(data.slots)
    vectors = data.columns(slots) if slots and len(data.features) else None
    return None if vectors is None else Outside.fit(slots, vectors, seed)


def texts_of(data: TrainingSet, rows: np.ndarray) -> list[str]:
    """The texts of some rows; of a pair both, with a line break between."""
    if not data.pairs:
        return [data.texts[row] for row in rows]
    return [f"{data.texts[row]}\n{data.pairs[row]}" for row in rows]


def states_of(states: TokenStates, row: int, layers: Sequence[int]) -> list[np.ndarray]:
    """float32 [tokens, layers, dimension] of each window of a row."""
    at = [states.layers.index(layer) for layer in layers]
    return [np.asarray(states.values[first:last, at], np.float32) for first, last, _ in states.of(row)]


def windows_of(states: TokenStates, row: int) -> list[Window]:
    """Where the tokens of each window of a row stand; ids are -1 where the tokens themselves were not kept."""
    found = []
    for first, last, second in states.of(row):
        ids = np.full(last - first, -1, np.int32) if states.ids is None else np.asarray(states.ids[first:last])
        found.append(Window(ids, second, np.asarray(states.offsets[first:last]), np.asarray(states.words[first:last])))
    return found
