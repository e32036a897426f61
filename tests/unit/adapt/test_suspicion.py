"""Signs of bad examples: each is seen where it is there, and not where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt import suspicion
from candelabra.adapt.evidence import ANCHOR_ROWS, Anchors, Evidence
from candelabra.adapt.rivals import Scored, Shared
from candelabra.adapt.suspicion import Revisited
from candelabra.adapt.training import Incumbent, TrainingSet, TrainSpec
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.head import Head
from candelabra.types import Method, Slot, TaskKind

SLOTS = (Slot(1, "mean"),)
LABELS = ("a", "b")


def head(labels: tuple[str, ...] = LABELS) -> Head:
    """Label i is the i-th number of the features, ten times over."""
    weight = 10 * np.eye(3, len(labels), dtype=np.float32)
    return Head(
        body=Dense(SLOTS, ((weight, np.zeros(len(labels), np.float32)),), normalize=False),
        labels=labels,
        task_kind=TaskKind.SINGLE_LABEL,
        backbone="b",
        domain="d",
        task="t",
        method=Method.CLOSED_FORM,
    )


def spec() -> TrainSpec:
    return TrainSpec(
        task_kind=TaskKind.SINGLE_LABEL,
        method=Method.CLOSED_FORM,
        metric="accuracy",
        backbone="b",
        domain="d",
        task="t",
    )


def evidence(right: float = 0.9, rows: int = 400) -> Evidence:
    digests = np.arange(rows, dtype=np.uint64)
    return Evidence(LABELS, digests, np.zeros(rows, np.int32), digests, 0.05, right)


def shared(ours: float, theirs: float, rows: int = 200, fresh: bool = True) -> Shared:
    """Decisions that are right in such shares."""

    def decided(right: float) -> np.ndarray:
        hit = np.arange(rows) < round(right * rows)
        return np.eye(2, dtype=np.uint8)[np.where(hit, 0, 1)]

    truth = np.eye(2, dtype=np.uint8)[np.zeros(rows, int)]
    return Shared(LABELS, np.arange(rows), truth, decided(ours), decided(theirs), np.full(rows, fresh))


def test_a_label_that_is_gone_is_named() -> None:
    check = suspicion.labels_gone(("a", "c"), Incumbent(head(("a", "b", "c"))))
    assert not check.passed
    assert "'b'" in check.detail
    assert suspicion.labels_gone(("c", "b", "a", "new"), Incumbent(head(("a", "b", "c")))).passed


@pytest.mark.parametrize(
    ("ours", "theirs", "passed"),
    [
        (0.9, 0.9, True),
        (0.86, 0.87, True),  # another sample
        (0.9, 0.5, True),  # a new idea: learned by the candidate
        (0.6, 0.9, True),  # a bad candidate, not bad labels
        (0.6, 0.62, False),
        (0.5, 0.5, False),
    ],
)
def test_labels_that_nobody_can_guess_look_random(ours: float, theirs: float, passed: bool) -> None:
    assert suspicion.noise(shared(ours, theirs), evidence()).passed is passed


def test_noise_needs_new_rows_and_evidence() -> None:
    assert suspicion.noise(shared(0.5, 0.5, fresh=False), evidence()).passed
    assert suspicion.noise(shared(0.5, 0.5), None).passed
    assert suspicion.noise(shared(0.5, 0.5), evidence(right=-1.0)).passed
    assert suspicion.noise(shared(0.5, 0.5, rows=4), evidence()).passed, "four rows tell nothing"


def rows(count: int, targets: np.ndarray, name: str = "old") -> TrainingSet:
    features = np.zeros((count, 1, 3), np.float32)
    features[np.arange(count), 0, np.arange(count) % 2] = 1.0
    texts = [f"{name} row {row}" for row in range(count)]
    return TrainingSet(texts, features, SLOTS, LABELS, targets, np.arange(count, dtype=np.uint64))


def scored(data: TrainingSet, probabilities: np.ndarray) -> Scored:
    return Scored(data, np.arange(len(data.texts)), probabilities, "out of fold")


def sample(found: Scored) -> Anchors:
    return Anchors.sample(found.data, found.at, found.probabilities.astype(np.float16), 0)


def sure(targets: np.ndarray, share: float = 0.9) -> np.ndarray:
    found: np.ndarray = np.where(np.eye(2)[targets] > 0, share, 1 - share)
    return found


def incumbent(count: int = 100) -> Incumbent:
    truth = np.arange(count) % 2
    kept = sample(scored(rows(count, truth), sure(truth)))
    return Incumbent(head(), replace(evidence(rows=count), anchors=kept))


def revisited(before: Incumbent, data: TrainingSet, probabilities: np.ndarray, now: Head | None = None) -> Revisited:
    found = suspicion.revisit(before, data, scored(data, probabilities), now or head())
    assert found is not None
    return found


def test_anchors_are_a_sample_of_bounded_size() -> None:
    truth = np.arange(2000) % 2
    kept = sample(scored(rows(2000, truth), sure(truth)))
    assert len(kept.texts) == ANCHOR_ROWS
    assert kept.features.dtype == kept.outputs.dtype == np.float16
    places = np.array([int(text.split()[-1]) for text in kept.texts])
    assert (kept.truth == truth[places]).all()


def test_an_anchor_that_the_candidate_learned_from_counts_by_its_unseen_probabilities() -> None:
    truth = np.arange(100) % 2
    turned = sure(1 - truth)  # the head itself would still be right
    found = revisited(incumbent(), rows(100, 1 - truth), turned)
    assert np.allclose(found.ours, turned)
    assert (found.truth.argmax(axis=1) == truth).all(), "judged by the label that it had"
    comparison, loss = suspicion.anchored(found, spec())
    assert comparison.gap.high < 0
    assert not loss.passed


def test_other_anchors_are_run_through_the_candidate() -> None:
    truth = np.arange(100) % 2
    found = revisited(incumbent(), rows(60, truth[:60], "new"), sure(truth[:60]))
    assert len(found.truth) == 100
    assert (found.ours.max(axis=1) > 0.99).all()
    comparison, loss = suspicion.anchored(found, spec())
    assert comparison.gap.value == 0.0
    assert loss.passed


def test_an_anchor_learned_from_and_not_scored_is_left_out() -> None:
    truth = np.arange(100) % 2
    data = rows(100, truth)
    part = Scored(data, np.arange(40), sure(truth[:40]), "held out")
    found = suspicion.revisit(incumbent(), data, part, head())
    assert found is not None
    assert len(found.truth) == 40


def test_a_loss_that_another_sample_may_cost_is_no_reason() -> None:
    truth = np.arange(100) % 2
    slightly = revisited(incumbent(), rows(100, truth), sure(truth, 0.898))
    assert suspicion.anchored(slightly, spec())[1].passed
    vague = revisited(incumbent(), rows(100, truth), sure(truth, 0.7))
    comparison, loss = suspicion.anchored(vague, spec())
    assert comparison.gap.value == 0.0, "every decision is as before"
    assert not loss.passed
    few = revisited(incumbent(20), rows(20, truth[:20]), sure(truth[:20], 0.7))
    assert suspicion.anchored(few, spec())[1].passed


def test_new_labels_do_not_count_against_a_candidate() -> None:
    truth = np.arange(100) % 2
    data = replace(rows(100, truth), labels=("a", "b", "c"))
    spread = np.concatenate([sure(truth) * 0.4, np.full((100, 1), 0.6)], axis=1)
    found = revisited(incumbent(), data, spread, head(("a", "b", "c")))
    assert found.labels == LABELS
    assert np.allclose(found.ours, sure(truth))
    assert suspicion.anchored(found, spec())[1].passed


def test_without_anchors_there_is_nothing_to_revisit() -> None:
    truth = np.arange(100) % 2
    data = rows(100, truth)
    assert suspicion.revisit(Incumbent(head()), data, scored(data, sure(truth)), head()) is None
