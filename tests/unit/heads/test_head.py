"""A head's file gives back the same head, and anything else is refused with a sentence."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.guards import Guards
from candelabra.heads.head import Calibration, Head
from candelabra.heads.outside import Outside
from candelabra.types import LongText, Method, Reading, Slot, TaskKind

DIM = 8


def make(
    labels: tuple[str, ...] = ("yes", "no", "maybe"),
    slots: int = 2,
    hidden: int = 0,
    multi: bool = False,
    seed: int = 0,
) -> Head:
    random = np.random.default_rng(seed)
    sizes = [slots * DIM, *([hidden] if hidden else []), len(labels)]
    weights = tuple(
        (random.normal(size=pair).astype(np.float32), random.normal(size=pair[1]).astype(np.float32))
        for pair in itertools.pairwise(sizes)
    )
    places = tuple(Slot(layer, "mean") for layer in range(slots))
    return Head(
        body=Dense(places, weights, "gelu" if hidden else "none"),
        labels=labels,
        task_kind=TaskKind.MULTI_LABEL if multi else TaskKind.SINGLE_LABEL,
        backbone="fingerprint",
        domain="general",
        task="classification",
        method=Method.DENSE if hidden else Method.CLOSED_FORM,
        long_text=LongText.WINDOWS,
        calibration=Calibration(1.5),
        thresholds=(0.5,) * len(labels) if multi else (),
        lineage={"dataset": "acme/mails", "rows": 12},
        report={"accuracy": 0.9},
    )


def features(head: Head, rows: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, DIM * len(head.slots))).astype(np.float32)


def scores(head: Head, x: np.ndarray) -> np.ndarray:
    return np.asarray(head.scores(Inputs(x)))


def weights(head: Head) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    assert isinstance(head.body, Dense)
    return head.body.weights


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize("multi", [False, True])
def test_a_round_trip_gives_the_same_head_and_bytes(hidden: int, multi: bool) -> None:
    head = make(hidden=hidden, multi=multi)
    data = head.to_bytes()
    back = Head.from_bytes(data)
    assert back.to_bytes() == data
    assert (back.slots, back.labels, back.calibration) == (head.slots, head.labels, head.calibration)
    assert (back.kind, back.long_text, back.nbytes) == (head.kind, LongText.WINDOWS, head.nbytes)
    assert dict(back.lineage) == {"dataset": "acme/mails", "rows": 12}
    x = features(head, 4)
    assert np.array_equal(scores(head, x), scores(back, x))


@given(labels=st.sets(st.text(min_size=1, max_size=12).filter(lambda s: s.isprintable()), min_size=2, max_size=6))
@settings(max_examples=25, deadline=None)
def test_any_printable_label_survives(labels: set[str]) -> None:
    head = make(tuple(sorted(labels)))
    assert Head.from_bytes(head.to_bytes()).labels == head.labels


@given(rows=st.integers(1, 40), hidden=st.sampled_from([0, 5]), multi=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_row_does_not_depend_on_its_neighbours(rows: int, hidden: int, multi: bool, seed: int) -> None:
    head = make(hidden=hidden, multi=multi, seed=seed)
    x = features(head, rows, seed)
    together = scores(head, x)
    alone = np.concatenate([scores(head, row[None, :]) for row in x])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)
    assert together.dtype == np.float32


def test_single_label_probabilities_sum_to_one_even_for_huge_logits() -> None:
    head = make()
    big = replace(head, body=Dense(head.slots, tuple((weight * 1e4, bias * 1e4) for weight, bias in weights(head))))
    found = scores(big, features(big, 5))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    assert np.isfinite(found).all()


def test_a_temperature_softens_and_is_not_folded_away() -> None:
    head = make()
    x = features(head, 3)
    cold, warm = (scores(replace(head, calibration=Calibration(t)), x) for t in (0.5, 5.0))
    assert (cold.max(axis=1) > warm.max(axis=1)).all()


def test_a_scale_and_bias_of_each_label_is_applied() -> None:
    head = make(multi=True)
    x = features(head, 3)
    shifted = replace(head, calibration=Calibration(1.0, (1.0, 1.0, 1.0), (0.0, 50.0, -50.0)))
    found = scores(shifted, x)
    np.testing.assert_allclose(found[:, 0], scores(replace(head, calibration=Calibration()), x)[:, 0], rtol=1e-5)
    assert (found[:, 1] > 0.99).all()
    assert (found[:, 2] < 0.01).all()


def test_the_length_of_a_slot_does_not_matter_when_normalized() -> None:
    head = make()
    x = features(head, 3)
    np.testing.assert_allclose(scores(head, x), scores(head, x * 7.0), rtol=1e-4)
    assert np.isfinite(scores(head, np.zeros_like(x))).all()


def test_decide_takes_the_best_label() -> None:
    assert make().decide(np.array([0.2, 0.5, 0.3])) == [1]


def test_decide_lets_the_positive_label_win_from_its_threshold_on() -> None:
    head = replace(make(), positive=0, threshold=0.2)
    assert head.decide(np.array([0.2, 0.5, 0.3])) == [0]
    assert replace(head, threshold=0.7).decide(np.array([0.6, 0.1, 0.3])) == [2]


def test_decide_gives_all_labels_over_their_thresholds_best_first() -> None:
    head = replace(make(multi=True), thresholds=(0.3, 0.9, 0.2))
    assert head.decide(np.array([0.4, 0.8, 0.7])) == [2, 0]
    assert head.decide(np.array([0.1, 0.1, 0.1])) == []


def test_a_head_cannot_be_changed() -> None:
    head = make()
    with pytest.raises(ValueError, match="read-only"):
        weights(head)[0][0][0, 0] = 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_refused(value: float) -> None:
    tensors = load(make().to_bytes())
    tensors["body.layers.0.weight"] = np.where(tensors["body.layers.0.weight"] > 0, np.float32(value), np.float32(0))
    with pytest.raises(CorruptHead, match="finite"):
        Head.from_bytes(_repack(tensors, manifest_of(make())))


@pytest.mark.parametrize("keep", [0, 7, 8, 60, -1])
def test_a_truncated_file_is_refused(keep: int) -> None:
    with pytest.raises(CorruptHead):
        Head.from_bytes(make().to_bytes()[:keep])


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptHead):
        Head.from_bytes(data)


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_is_refused_or_gives_a_sound_head(position: int, bit: int) -> None:
    data = bytearray(make().to_bytes())
    data[position % len(data)] ^= 1 << bit
    try:
        head = Head.from_bytes(bytes(data))
    except CorruptHead:
        return
    assert np.isfinite(weights(head)[0][0]).all()


Damage = Callable[[dict[str, np.ndarray], dict[str, Any]], None]


def transposed(tensors: dict[str, np.ndarray], manifest: dict[str, Any]) -> None:
    tensors["body.layers.0.weight"] = np.ascontiguousarray(tensors["body.layers.0.weight"].T)


def doubled(tensors: dict[str, np.ndarray], manifest: dict[str, Any]) -> None:
    tensors["body.layers.0.weight"] = tensors["body.layers.0.weight"].astype(np.float64)


def extra(tensors: dict[str, np.ndarray], manifest: dict[str, Any]) -> None:
    tensors["surprise"] = np.zeros(3, np.float32)


def extra_in_the_body(tensors: dict[str, np.ndarray], manifest: dict[str, Any]) -> None:
    tensors["body.surprise"] = np.zeros(3, np.float32)


def guards_of_nothing(tensors: dict[str, np.ndarray], manifest: dict[str, Any]) -> None:
    tensors["guards.conformal"] = np.zeros(3, np.float32)


def change(**fields: object) -> Damage:
    def apply(tensors: dict[str, np.ndarray], manifest: dict[str, Any]) -> None:
        manifest.update(fields)

    return apply


def change_body(**fields: object) -> Damage:
    def apply(tensors: dict[str, np.ndarray], manifest: dict[str, Any]) -> None:
        manifest["body"].update(fields)

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        transposed,
        doubled,
        extra,
        extra_in_the_body,
        guards_of_nothing,
        change(format=4),
        change(kind="magic"),
        change(reading="aloud"),
        change(temperature=0.0),
        change(scale=[1.0]),
        change_body(layers=2),
        change_body(layers="one"),
        change(labels=["yes", "no"]),
        change(labels=["yes", "no", "no"]),
        change(labels=["yes", "no", 3]),
        change_body(slots=[[0, "mean"], [1, "mean"], [2, "mean"]]),
        change_body(slots=[[0, "mean"], [0, "mean"]]),
        change_body(slots=[[0, "max"], [1, "mean"]]),
        change_body(slots=[[-1, "mean"], [1, "mean"]]),
        change_body(slots=[]),
        change(task_kind="regression"),
        change(method="magic"),
        change_body(activation="swish"),
        change_body(normalize="yes"),
        change(thresholds=[0.5]),
        change(positive=3),
        change(positive=True),
        change(threshold="high"),
        change(backbone=""),
        change(domain=None),
        change(lineage=3),
    ],
)
def test_a_damaged_manifest_or_tensor_is_refused(damage: Damage) -> None:
    tensors, manifest = load(make().to_bytes()), manifest_of(make())
    damage(tensors, manifest)
    with pytest.raises(CorruptHead, match=r"[a-z]+ .*\.$"):
        Head.from_bytes(_repack(tensors, manifest))


def test_a_missing_field_or_a_foreign_metadata_key_is_refused() -> None:
    tensors, manifest = load(make().to_bytes()), manifest_of(make())
    with pytest.raises(CorruptHead, match="metadata key"):
        Head.from_bytes(save(tensors, metadata={"candelabra": json.dumps(manifest), "code": "x"}))
    del manifest["long_text"]
    with pytest.raises(CorruptHead, match="KeyError"):
        Head.from_bytes(_repack(tensors, manifest))


def manifest_of(head: Head) -> dict[str, Any]:
    data = head.to_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    manifest: dict[str, Any] = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["candelabra"])
    return manifest


def _repack(tensors: dict[str, np.ndarray], manifest: dict[str, Any]) -> bytes:
    return save(tensors, metadata={"candelabra": json.dumps(manifest)})


def test_guards_of_the_second_format_read_one_slot() -> None:
    """There the arrays of a guard had no axis of slots."""
    texts = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    head = replace(make(), guards=Guards(None, Outside.fit((Slot(2, "mean"),), texts)))
    tensors = load(head.to_bytes())
    arrays = [name for name, tensor in tensors.items() if name.startswith("guards.") and tensor.ndim > 1]
    old = {**tensors, **{name: tensors[name][0] for name in arrays}}
    back = Head.from_bytes(_repack(old, {**manifest_of(head), "format": 2}))
    assert len(arrays) == 3
    assert back.guards is not None
    assert back.guards.slots == (Slot(2, "mean"),)
    assert back.to_bytes() == head.to_bytes()


def test_a_file_of_the_first_format_is_still_that_head() -> None:
    """There every head was dense, and its calibration was folded into its last layer."""
    head = replace(make(), calibration=Calibration())
    new = manifest_of(head)
    old = {name: value for name, value in new.items() if name not in ("body", "guards", "reading")}
    old |= {"format": 1, "kind": "linear", "temperature": 1.5, **new["body"]}
    tensors = {name.removeprefix("body."): tensor for name, tensor in load(head.to_bytes()).items()}
    back = Head.from_bytes(_repack(tensors, old))
    x = features(head, 4)
    assert np.array_equal(scores(back, x), scores(head, x))
    assert (back.reading, back.guards) == (Reading.TEXT, None)
    with pytest.raises(CorruptHead, match="calls itself"):
        Head.from_bytes(_repack(tensors, {**old, "kind": "mlp"}))
