"""Training end to end on small made-up features: what is promoted, what is refused, and how versions are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt.inputs import inputs_of
from candelabra.adapt.trainer import (
    Candidate,
    Incumbent,
    TrainingSet,
    TrainSpec,
    evidence_from_bytes,
    evidence_to_bytes,
    train,
)
from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead, InvalidArgument, NoExamples, TooFewLabels
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.head import Head
from candelabra.types import Method, Progress, Slot, TaskKind

SLOTS = (Slot(0, "mean"), Slot(1, "mean"), Slot(1, "cls"))
DIM = 12
METHODS = (Method.CLOSED_FORM, Method.PROTOTYPE, Method.LOGREG, Method.HYBRID, Method.DENSE, Method.AUTO)
WORDS = ("ledger", "harbour", "violin", "granite", "meadow", "copper", "lantern", "orchard")


def make(
    n: int = 180, labels: int = 3, noise: float = 0.6, seed: int = 0, multi: bool = False, first: int = 0
) -> TrainingSet:
    """Rows whose features tell the label and whose texts do not."""
    random = np.random.default_rng(seed)
    targets = np.arange(n) % labels
    truth = np.eye(labels, dtype=np.uint8)[targets]
    if multi:
        truth = (random.random((n, labels)) < 0.3).astype(np.uint8)
    centres = np.random.default_rng(99).normal(size=(8, len(SLOTS), DIM))[:labels]
    features = np.einsum("nl,lsd->nsd", truth.astype(float), centres) + noise * random.normal(size=(n, len(SLOTS), DIM))
    return TrainingSet(
        texts=[" ".join(random.choice(WORDS, 4)) for _ in range(n)],
        features=features.astype(np.float32),
        slots=SLOTS,
        labels=tuple("abcdefgh"[:labels]),
        targets=truth if multi else targets,
        rows=np.arange(first, first + n, dtype=np.uint64),
    )


def spec(**changes: object) -> TrainSpec:
    plain = TrainSpec(
        task_kind=TaskKind.SINGLE_LABEL,
        method=Method.CLOSED_FORM,
        metric="accuracy",
        backbone="fingerprint",
        domain="general",
        task="classification",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def gate_of(candidate: Candidate) -> Mapping[str, object]:
    gate = candidate.report["gate"]
    assert isinstance(gate, dict)
    return gate


def checks_of(candidate: Candidate) -> dict[str, bool]:
    checks = gate_of(candidate)["checks"]
    assert isinstance(checks, list)
    return {check["name"]: check["passed"] for check in checks}


def shuffled(data: TrainingSet, seed: int = 5) -> TrainingSet:
    return replace(data, targets=np.random.default_rng(seed).permutation(data.targets))


def accuracy(head: Head, data: TrainingSet) -> float:
    columns = data.columns(head.slots)
    assert columns is not None
    return float((np.asarray(head.scores(Inputs(columns))).argmax(axis=1) == data.targets).mean())


@pytest.mark.parametrize("method", [Method.CLOSED_FORM, Method.DENSE])
def test_a_good_head_is_accepted_and_works(method: Method) -> None:
    candidate = train(make(), None, spec(method=method))
    assert gate_of(candidate)["accepted"], gate_of(candidate)["reason"]
    assert accuracy(candidate.head, make(seed=1)) > 0.9
    assert Head.from_bytes(candidate.head.to_bytes()).labels == ("a", "b", "c")
    names = {"metric", "scores", "labels", "confusion", "baselines", "gate", "chosen", "seconds", "evaluation"}
    assert set(candidate.report) == names | {"calibration_error", "scored_rows", "coverage"}
    assert candidate.report["scored_rows"] == 180


@pytest.mark.parametrize("method", [Method.CLOSED_FORM, Method.DENSE])
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_shuffled_labels_are_refused(method: Method, seed: int) -> None:
    candidate = train(shuffled(make(), seed), None, spec(method=method))
    assert not gate_of(candidate)["accepted"]
    assert not checks_of(candidate)["majority"]


def test_force_is_recorded_and_does_not_hide_the_refusal() -> None:
    gate = gate_of(train(shuffled(make()), None, spec(force=True)))
    assert (gate["accepted"], gate["forced"]) == (False, True)
    assert not gate_of(train(make(), None, spec(force=True)))["forced"]


def test_a_head_that_words_alone_beat_is_refused() -> None:
    data = make(noise=6.0)
    texts = [f"{text} {WORDS[target]} {WORDS[target]}" for text, target in zip(data.texts, data.targets, strict=True)]
    candidate = train(replace(data, texts=texts), None, spec())
    assert not checks_of(candidate)["tfidf_logistic_regression"]
    assert "measurably worse than TF-IDF" in str(gate_of(candidate)["reason"])


def test_multi_label_heads_decide_on_several_labels() -> None:
    kinds = {"task_kind": TaskKind.MULTI_LABEL, "metric": "micro_f1"}
    candidate = train(make(multi=True), None, spec(**kinds))
    assert gate_of(candidate)["accepted"], gate_of(candidate)["reason"]
    unseen = make(multi=True, seed=1)
    columns = unseen.columns(candidate.head.slots)
    assert columns is not None
    decided = np.zeros_like(unseen.targets)
    for row, probabilities in enumerate(np.asarray(candidate.head.scores(Inputs(columns)))):
        decided[row, candidate.head.decide(probabilities)] = 1
    assert (decided == unseen.targets).mean() > 0.85
    assert candidate.report["confusion"] is None


def test_the_same_seed_gives_the_same_bytes() -> None:
    for method in (Method.CLOSED_FORM, Method.DENSE, Method.HYBRID):
        one, other = (train(make(), None, spec(method=method, seed=3)) for _ in range(2))
        assert one.head.to_bytes() == other.head.to_bytes()


def test_a_validation_set_is_what_is_scored() -> None:
    candidate = train(make(), make(n=60, seed=2, first=1000), spec())
    assert (candidate.report["evaluation"], candidate.report["scored_rows"]) == ("validation", 60)
    assert candidate.evidence.rows.min() == 1000


def test_a_worse_successor_is_refused_on_the_same_rows() -> None:
    data = make()
    good = train(data, None, spec())
    blurred = replace(data, features=data.features + np.random.default_rng(1).normal(size=data.features.shape) * 1.5)
    blurred = replace(blurred, features=blurred.features.astype(np.float32))
    bad = train(blurred, None, spec(), Incumbent(good.head, good.evidence))
    assert checks_of(bad)["majority"]
    assert not checks_of(bad)["incumbent"]


def test_an_equal_successor_is_accepted() -> None:
    first = train(make(), None, spec())
    again = train(make(), None, spec(), Incumbent(first.head, first.evidence))
    assert gate_of(again)["accepted"]
    assert checks_of(again)["incumbent"]
    assert checks_of(again)["recall"]


def test_the_incumbent_is_not_scored_on_rows_it_was_trained_on_but_by_its_evidence() -> None:
    data = make(noise=2.5)
    first = train(data, None, spec())
    # Evidence that says all was wrong must be what counts, not what the head would say today.
    wrong = replace(first.evidence, decisions=((data.targets + 1) % 3).astype(np.int32))
    candidate = train(data, None, spec(), Incumbent(first.head, wrong))
    baselines = candidate.report["baselines"]
    assert isinstance(baselines, list)
    incumbent = next(one for one in baselines if one["name"] == "incumbent")
    assert incumbent["score"]["value"] == 0.0


def test_on_new_rows_the_incumbent_is_run() -> None:
    first = train(make(n=90), None, spec())
    candidate = train(make(seed=4, first=5000), None, spec(), Incumbent(first.head, first.evidence))
    baselines = candidate.report["baselines"]
    assert isinstance(baselines, list)
    assert next(one for one in baselines if one["name"] == "incumbent")["score"]["value"] > 0.8


def test_rows_that_the_incumbent_saw_without_evidence_are_left_out() -> None:
    data = make()
    first = train(data, None, spec())
    half = replace(first.evidence, rows=first.evidence.rows[:90], decisions=first.evidence.decisions[:90])
    again = train(data, None, spec(), Incumbent(first.head, half))
    checks = gate_of(again)["checks"]
    assert isinstance(checks, list)
    assert "on 90 rows" in next(check["detail"] for check in checks if check["name"] == "incumbent")


def test_new_labels_are_compared_on_the_labels_that_both_know() -> None:
    old = make(n=120, labels=2)
    first = train(old, None, spec())
    candidate = train(make(n=240, labels=4, first=9000), None, spec(), Incumbent(first.head, first.evidence))
    assert gate_of(candidate)["accepted"], gate_of(candidate)["reason"]
    checks = gate_of(candidate)["checks"]
    assert isinstance(checks, list)
    detail = next(check["detail"] for check in checks if check["name"] == "incumbent")
    assert "2 labels that both know" in detail
    assert "on 120 rows" in detail


def test_an_incumbent_of_another_backbone_cannot_be_compared_and_is_said_so() -> None:
    first = train(make(), None, spec())
    body = first.head.body
    assert isinstance(body, Dense)
    strange = replace(
        first.head, body=replace(body, slots=tuple(Slot(one.layer + 7, one.pooling) for one in body.slots))
    )
    candidate = train(make(seed=1, first=5000), None, spec(), Incumbent(strange, first.evidence))
    checks = gate_of(candidate)["checks"]
    assert isinstance(checks, list)
    assert "No row could be compared" in next(check["detail"] for check in checks if check["name"] == "incumbent")


def test_the_recall_floor_lets_the_label_win_early() -> None:
    data = make(noise=2.0, labels=2)
    usual = train(data, None, spec(metric="f2[b]"))
    eager = train(data, None, spec(metric="f2[b]", recall_floor=0.99))

    def recall(candidate: Candidate) -> float:
        labels = candidate.report["labels"]
        assert isinstance(labels, list)
        return float(labels[1]["recall"])

    assert recall(eager) >= 0.99 > recall(usual)
    assert eager.head.positive == 1
    assert eager.head.threshold < 0.5


def test_probabilities_are_calibrated() -> None:
    assert float(str(train(make(n=600, noise=2.0), None, spec()).report["calibration_error"])) < 0.08


@pytest.mark.parametrize("counts", [(2, 2), (3, 1), (1, 1), (9, 1)])
@pytest.mark.parametrize("method", METHODS)
def test_very_few_examples_train_without_a_crash(counts: tuple[int, int], method: Method) -> None:
    data = make(n=20, labels=2)
    keep = np.concatenate([np.flatnonzero(data.targets == label)[:count] for label, count in enumerate(counts)])
    small = replace(
        data,
        texts=[data.texts[row] for row in keep],
        features=data.features[keep],
        targets=data.targets[keep],
        rows=data.rows[keep],
    )
    head = train(small, None, spec(method=method, budget_seconds=0)).head
    inputs = inputs_of(data, head.body, np.arange(20), head.reading)
    assert inputs is not None
    assert np.isfinite(np.asarray(head.scores(inputs))).all()


def test_progress_names_its_phases_and_dense_tells_loss_and_time() -> None:
    told: list[Progress] = []
    train(make(), None, spec(method=Method.DENSE), None, told.append)
    assert [*dict.fromkeys(one.phase for one in told)] == ["train", "baselines", "gate"]
    epoch = told[0]
    assert epoch.loss is not None
    assert epoch.total > 0
    assert epoch.seconds_left is not None
    assert "held_out_loss" in epoch.metrics


def test_a_small_network_is_a_head_too() -> None:
    candidate = train(make(), None, spec(method=Method.DENSE, options={"hidden": 16, "max_epochs": 30}))
    assert isinstance(candidate.head.body, Dense)
    assert len(candidate.head.body.weights) == 2
    assert accuracy(candidate.head, make(seed=1)) > 0.9


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": -1},
        {"hidden": 2.5},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"max_epochs": 0},
        {"patience": 0},
        {"layers": [5]},
        {"solver": "lda"},
    ],
)
def test_bad_dense_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        train(make(), None, spec(method=Method.DENSE, options=options))


def test_data_that_cannot_be_learned_from_is_refused() -> None:
    data = make()
    with pytest.raises(TooFewLabels):
        train(replace(data, targets=np.zeros_like(data.targets)), None, spec())
    with pytest.raises(NoExamples):
        train(make(n=0), None, spec())
    with pytest.raises(InvalidArgument, match="finite"):
        train(replace(data, features=np.full_like(data.features, np.nan)), None, spec())
    with pytest.raises(InvalidArgument, match="metric"):
        train(data, None, spec(metric="f1[z]"))


def test_evidence_survives_its_file_and_damage_is_refused() -> None:
    evidence = train(make(), None, spec()).evidence
    data = evidence_to_bytes(evidence)
    back = evidence_from_bytes(data)
    assert back.labels == evidence.labels
    for name in ("rows", "decisions", "trained"):
        assert np.array_equal(getattr(back, name), getattr(evidence, name))
    known, at = back.find(np.array([3, 777777], np.uint64))
    assert known.tolist() == [True, False]
    assert back.rows[at[0]] == 3
    for damaged in (b"", data[:20], data[:-3]):
        with pytest.raises(CorruptHead):
            evidence_from_bytes(damaged)
    with pytest.raises(CorruptHead):
        evidence_from_bytes(evidence_to_bytes(replace(evidence, rows=evidence.rows[:2])))
