"""Slots fit the backbone; the fast tier's are among them."""

from __future__ import annotations

import pytest

from candelabra.adapt import slots
from candelabra.adapt.slots import compact_slots, default_slots, layer_sets, parse_layers, spread_slots
from candelabra.errors import InvalidArgument
from candelabra.types import BackboneInfo, Slot


@pytest.mark.parametrize(("layers", "dimension"), [(6, 384), (12, 768), (24, 1024), (2, 32), (1, 8)])
def test_default_slots_fit_the_backbone(layers: int, dimension: int) -> None:
    info = BackboneInfo("b", "f", layers, dimension, 128, "cpu", "fp32", "torch")
    found = default_slots(info)
    assert len(set(found)) == len(found)
    assert all(0 <= slot.layer <= layers for slot in found)
    assert Slot(layers, "mean") in found
    assert len(found) * dimension <= max(slots.WIDTH, 2 * dimension)
    assert set(compact_slots(found)) <= set(spread_slots(found)) <= set(found)
    assert Slot(layers, "mean") in compact_slots(found)


def test_the_fast_tier_reads_the_end_and_two_thirds() -> None:
    info = BackboneInfo("b", "f", 6, 384, 128, "cpu", "fp32", "torch")
    assert compact_slots(default_slots(info)) == (Slot(4, "mean"), Slot(6, "mean"))
    assert spread_slots(default_slots(info)) == (Slot(2, "mean"), Slot(4, "mean"), Slot(6, "mean"))
    assert compact_slots((Slot(6, "cls"),)) == (Slot(6, "cls"),)


def test_layer_sets_are_different_and_keep_the_order_of_the_slots() -> None:
    info = BackboneInfo("b", "f", 6, 384, 128, "cpu", "fp32", "torch")
    all_slots = default_slots(info)
    sets = layer_sets(all_slots)
    assert len(set(sets)) == len(sets)
    assert sets[-1] == all_slots
    assert all([all_slots.index(slot) for slot in one] == sorted(map(all_slots.index, one)) for one in sets)
    assert layer_sets(all_slots, (6,)) == [(Slot(6, "mean"), Slot(6, "cls"))]


@pytest.mark.parametrize("layers", [[9], 3, [True], ["1"]])
def test_layers_that_are_not_there_are_refused(layers: object) -> None:
    assert parse_layers(None, (Slot(1, "mean"),)) == ()
    assert parse_layers([1, 1], (Slot(1, "mean"),)) == (1,)
    with pytest.raises(InvalidArgument):
        parse_layers(layers, (Slot(1, "mean"),))
