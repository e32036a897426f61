"""Bad examples are found out: noise, labels that are gone, unlearned work, copies of a few rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt.evidence import evidence_from_bytes, evidence_to_bytes, text_digests
from candelabra.adapt.trainer import train
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.errors import CorruptHead
from candelabra.types import Method, Slot, TaskKind

SLOTS = (Slot(0, "mean"), Slot(1, "mean"))
SPEC = TrainSpec(
    task_kind=TaskKind.SINGLE_LABEL,
    method=Method.CLOSED_FORM,
    metric="accuracy",
    backbone="fingerprint",
    domain="general",
    task="classification",
)


def rows(n: int, seed: int, labels: int = 3, noise: float = 1.2, turn: int = 0) -> TrainingSet:
    """Rows whose features tell the label; `turn` gives every label the features of another."""
    random = np.random.default_rng(seed)
    targets = np.arange(n) % labels
    centres = np.random.default_rng(99).normal(size=(labels, len(SLOTS), 24))
    features = centres[(targets + turn) % labels] + noise * random.normal(size=(n, len(SLOTS), 24))
    return TrainingSet(
        texts=[f"row {seed} {at} of a shop" for at in range(n)],
        features=features.astype(np.float32),
        slots=SLOTS,
        labels=tuple("abcdef"[:labels]),
        targets=targets,
        rows=np.arange(n, dtype=np.uint64) + np.uint64(seed * 100_000),
    )


def live(seed: int = 1) -> Incumbent:
    """A version with its evidence, through its file."""
    made = train(rows(300, seed), None, SPEC)
    return Incumbent(made.head, evidence_from_bytes(evidence_to_bytes(made.evidence)))


def failed(candidate: Candidate) -> set[str]:
    gate = candidate.report["gate"]
    assert isinstance(gate, dict)
    return {check["name"] for check in gate["checks"] if not check["passed"]}


def both(one: TrainingSet, other: TrainingSet) -> TrainingSet:
    return replace(
        one,
        texts=[*one.texts, *other.texts],
        features=np.concatenate([one.features, other.features]),
        targets=np.concatenate([one.targets, other.targets]),
        rows=np.concatenate([one.rows, other.rows]),
    )


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_more_good_rows_and_other_good_rows_pass(seed: int) -> None:
    before = live()
    assert failed(train(both(rows(300, 1), rows(150, seed)), None, SPEC, before)) == set()
    assert failed(train(rows(450, seed), None, SPEC, before)) == set()


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_labels_given_at_random_are_told_from_new_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    good = rows(300, seed)
    moved = random.random(300) < 0.3
    bad = replace(good, targets=np.where(moved, (good.targets + random.integers(1, 3, 300)) % 3, good.targets))
    assert "label_noise" in failed(train(bad, None, SPEC, live()))


def test_work_that_is_unlearned_shows_on_the_anchors_though_the_new_rows_are_learned() -> None:
    found = failed(train(rows(300, 5, turn=1), None, SPEC, live()))
    assert {"anchors", "anchors_loss"} <= found
    assert "majority" not in found
    assert "label_noise" not in found


def test_a_label_that_is_gone_is_named() -> None:
    data = rows(300, 1)
    kept = data.targets != 2
    less = replace(
        data,
        texts=[text for text, keep in zip(data.texts, kept, strict=True) if keep],
        features=data.features[kept],
        targets=data.targets[kept],
        rows=data.rows[kept],
        labels=("a", "b"),
    )
    candidate = train(less, None, SPEC, live())
    assert "labels" in failed(candidate)
    assert "'c'" in str(candidate.report["gate"])


def test_copies_of_a_few_rows_are_scored_once_each() -> None:
    few = rows(12, 7, noise=2.5)
    random = np.random.default_rng(0)
    near = np.repeat(few.features, 20, axis=0) * (1 + 0.002 * random.normal(size=(240, 1, 1)))
    copies = replace(
        few,
        texts=[f"{text} {'!' * at}" for text in few.texts for at in range(20)],
        features=near.astype(np.float32),
        targets=np.repeat(few.targets, 20),
        rows=np.arange(240, dtype=np.uint64) + np.uint64(900_000),
    )
    candidate = train(copies, None, SPEC)
    assert candidate.report["scored_rows"] == 12
    assert "12 groups of near copies" in str(candidate.report["evaluation"])
    assert "majority" in failed(candidate)


def test_anchors_survive_their_file_and_damage_is_refused() -> None:
    evidence = train(rows(60, 1), None, SPEC).evidence
    back = evidence_from_bytes(evidence_to_bytes(evidence)).anchors
    assert back is not None
    assert evidence.anchors is not None
    assert (back.texts, back.slots) == (evidence.anchors.texts, SLOTS)
    for name in ("features", "truth", "outputs"):
        assert np.array_equal(getattr(back, name), getattr(evidence.anchors, name))
    for bad in (
        replace(back, texts=back.texts[:5]),
        replace(back, features=back.features[:, :1]),
        replace(back, outputs=np.full_like(back.outputs, np.nan)),
    ):
        with pytest.raises(CorruptHead):
            evidence_from_bytes(evidence_to_bytes(replace(evidence, anchors=bad)))


def test_texts_that_differ_in_case_and_points_only_have_one_digest() -> None:
    one, other, third = text_digests(["The shop, closed!", "the shop closed", "The shop closes."])
    assert one == other != third
    assert text_digests(["a b"], ["c"])[0] != text_digests(["a"], ["b c"])[0]
    assert len(set(text_digests(["...", "!!!"]).tolist())) == 2
