"""Which pooled vectors an Adapt encodes, which of them the compact tier reads, and which a caller may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from candelabra.errors import InvalidArgument
from candelabra.types import BackboneInfo, Slot

WIDTH = 3840
"""Features that the default slots have at most: the cost of a wide fit grows with the cube of it."""


def default_slots(info: BackboneInfo) -> tuple[Slot, ...]:
    """The slots worth encoding for an Adapt: means of all layers and CLS of the last three, within WIDTH features.

    Where the backbone is too wide or deep for all, the means go first: the last layer, then evenly spread ones.
    """
    room = max(2, WIDTH // info.dimension)
    if info.layers + 1 + 3 <= room:
        layers = list(range(info.layers + 1))
        classes = [info.layers - 2, info.layers - 1, info.layers]
    else:
        count = min(room, info.layers + 1)
        layers = sorted({round(layer) for layer in np.linspace(info.layers / count, info.layers, count)})
        classes = []
    return (
        *(Slot(layer, "mean") for layer in layers),
        *(Slot(layer, "cls") for layer in classes if layer > 0),
    )


def compact_slots(slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """The two vectors that the fast tier reads: the last layer's mean and the mean at two thirds of the depth.

    Where no layer's mean was encoded, all slots.
    """
    means = sorted(slot for slot in slots if slot.pooling == "mean")
    if not means:
        return tuple(slots)
    return tuple(sorted({means[-1], _nearest(means, 2 / 3)}))


def spread_slots(slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """Means at one third, two thirds and the end of the depth."""
    means = sorted(slot for slot in slots if slot.pooling == "mean")
    return tuple(sorted({means[-1], _nearest(means, 2 / 3), _nearest(means, 1 / 3)})) if means else tuple(slots)


def _nearest(means: Sequence[Slot], depth: float) -> Slot:
    return min(means, key=lambda slot: abs(slot.layer - depth * means[-1].layer))


def layer_sets(slots: Sequence[Slot], layers: Sequence[int] = ()) -> list[tuple[Slot, ...]]:
    """The sets to choose among, small ones first: last, two and three depths, last four, all means, everything."""
    if layers:
        return [tuple(slot for slot in slots if slot.layer in layers)]
    means = tuple(sorted(slot for slot in slots if slot.pooling == "mean"))
    sets = [means[-1:], compact_slots(slots), spread_slots(slots), means[-4:], means, tuple(slots)]
    return [one for at, one in enumerate(sets) if one and one not in sets[:at]]


def parse_layers(layers: object, slots: Sequence[Slot]) -> tuple[int, ...]:
    """The layers that a caller fixed, all of which must be among the slots; empty for None."""
    if layers is None:
        return ()
    if not isinstance(layers, Iterable):
        raise InvalidArgument(f"The layers {layers!r} are not a list of numbers.", field="layers")
    known = {slot.layer for slot in slots}
    chosen: set[int] = set()
    for layer in layers:
        if isinstance(layer, bool) or not isinstance(layer, int) or layer not in known:
            raise InvalidArgument(f"Layer {layer!r} was not encoded: choose among {sorted(known)}.", field="layers")
        chosen.add(layer)
    return tuple(sorted(chosen))
