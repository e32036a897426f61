"""Training of heads that give a number, end to end on made-up features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt.evidence import evidence_from_bytes, evidence_to_bytes
from candelabra.adapt.trainer import train
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.engine.row import Inputs
from candelabra.errors import InvalidArgument, NoExamples, TooFewLabels
from candelabra.heads.head import Head
from candelabra.types import Method, Reading, Slot, TaskKind

SLOTS = (Slot(0, "mean"), Slot(1, "mean"), Slot(1, "cls"))
DIM = 12
WORDS = ("ledger", "harbour", "violin", "granite", "meadow", "copper", "lantern", "orchard")


def make(rows: int = 150, noise: float = 0.3, seed: int = 0, first: int = 0, scale: float = 50.0) -> TrainingSet:
    """Rows whose features tell the number and whose texts do not."""
    random = np.random.default_rng(seed)
    direction = np.random.default_rng(99).normal(size=(len(SLOTS), DIM))
    inner = random.normal(size=rows)
    features = inner[:, None, None] * direction + random.normal(size=(rows, len(SLOTS), DIM)) + 1.0
    return TrainingSet(
        texts=[f"{' '.join(random.choice(WORDS, 4))} {seed} {row}" for row in range(rows)],
        features=features.astype(np.float32),
        slots=SLOTS,
        labels=(),
        targets=scale * (inner + noise * random.normal(size=rows)) + 1000.0,
        rows=np.arange(first, first + rows, dtype=np.uint64),
    )


def spec(**changes: object) -> TrainSpec:
    plain = TrainSpec(
        task_kind=TaskKind.REGRESSION,
        method=Method.CLOSED_FORM,
        metric="pearson",
        backbone="fingerprint",
        domain="general",
        task="regression",
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


def score_of(candidate: Candidate, metric: str) -> float:
    scores = candidate.report["scores"]
    assert isinstance(scores, list)
    return float(next(one["value"] for one in scores if one["metric"] == metric))


def given(head: Head, data: TrainingSet) -> np.ndarray:
    columns = data.columns(head.slots)
    assert columns is not None
    return np.asarray(head.scores(Inputs(columns)))[:, 0]


@pytest.mark.parametrize("metric", ["pearson", "spearman", "r2"])
def test_a_good_head_is_accepted_and_speaks_in_the_units_of_its_targets(metric: str) -> None:
    candidate = train(make(), None, spec(metric=metric))
    assert gate_of(candidate)["accepted"], gate_of(candidate)["reason"]
    unseen = make(seed=1)
    head = Head.from_bytes(candidate.head.to_bytes())
    assert head.labels == ("value",)
    assert np.abs(given(head, unseen) - unseen.targets).mean() < 30
    assert score_of(candidate, metric) > 0.6
    assert candidate.report["scored_rows"] == 150
    assert checks_of(candidate) == {"majority": True, "tfidf_ridge": True}


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_shuffled_targets_are_refused(seed: int) -> None:
    data = make()
    data = replace(data, targets=np.random.default_rng(seed).permutation(data.targets))
    candidate = train(data, None, spec())
    assert not checks_of(candidate)["majority"]
    assert "always giving the mean" in str(gate_of(candidate)["reason"])


def test_a_head_that_words_alone_beat_is_refused() -> None:
    data = make()
    random = np.random.default_rng(2)
    high = data.targets > np.median(data.targets)
    texts = [f"{text} {'soaring' if one else 'sinking'}" for text, one in zip(data.texts, high, strict=True)]
    weak = data.features + 12 * random.normal(size=data.features.shape).astype(np.float32)
    candidate = train(replace(data, texts=texts, features=weak.astype(np.float32)), None, spec())
    assert not checks_of(candidate)["tfidf_ridge"]
    assert "measurably worse than TF-IDF with ridge regression" in str(gate_of(candidate)["reason"])


def test_intervals_hold_as_many_unseen_numbers_as_they_promise() -> None:
    candidate = train(make(600), None, spec())
    assert candidate.head.guards is not None
    unseen = make(600, seed=1)
    low, high = candidate.head.guards.intervals(given(candidate.head, unseen), 0.9).T
    assert 0.86 < ((low <= unseen.targets) & (unseen.targets <= high)).mean() < 0.94
    assert float(str(candidate.report["coverage"])) == pytest.approx(0.9, abs=0.04)
    far = candidate.head.guards.outside_scores(unseen.features[:, 1] * np.array([-1.0, 1.0] * 6, np.float32))
    assert far is not None
    assert far.mean() > 0.8


def test_a_validation_set_is_what_is_scored() -> None:
    candidate = train(make(), make(60, seed=2, first=1000), spec())
    assert (candidate.report["evaluation"], candidate.report["scored_rows"]) == ("validation", 60)
    assert candidate.evidence.rows.min() == 1000


def test_an_equal_successor_is_accepted_and_a_worse_one_is_not() -> None:
    data = make()
    first = train(data, None, spec())
    before = Incumbent(first.head, first.evidence)
    assert gate_of(train(data, None, spec(), before))["accepted"]
    random = np.random.default_rng(1)
    blurred = replace(data, features=data.features + 3 * random.normal(size=data.features.shape).astype(np.float32))
    worse = checks_of(train(replace(blurred, features=blurred.features.astype(np.float32)), None, spec(), before))
    assert worse["majority"]
    assert not worse["incumbent"]


def test_rows_that_the_incumbent_learned_from_count_by_its_evidence() -> None:
    data = make()
    first = train(data, None, spec())
    # Evidence that all was the wrong way round must be what counts, not what the head would say today.
    upset = replace(first.evidence, decisions=-first.evidence.decisions)
    candidate = train(data, None, spec(), Incumbent(first.head, upset))
    baselines = candidate.report["baselines"]
    assert isinstance(baselines, list)
    assert next(one for one in baselines if one["name"] == "incumbent")["score"]["value"] < -0.7


def test_new_rows_that_unlearn_the_old_work_are_refused() -> None:
    first = train(make(), None, spec())
    before = Incumbent(first.head, evidence_from_bytes(evidence_to_bytes(first.evidence)))
    other = make(seed=4, first=5000)
    fine = train(other, None, spec(), before)
    assert gate_of(fine)["accepted"], gate_of(fine)["reason"]
    turned = train(replace(other, targets=2000.0 - other.targets), None, spec(), before)
    assert checks_of(turned)["majority"], "by its own rows it has learned something"
    assert not checks_of(turned)["anchors"]
    assert not checks_of(turned)["anchors_loss"]


def test_a_pair_is_read_as_its_body_says() -> None:
    data = make(200)
    random = np.random.default_rng(0)
    u = random.normal(size=data.features.shape)
    share = random.random(200)
    v = share[:, None, None] * u + (1 - share)[:, None, None] * random.normal(size=u.shape)
    blind = random.normal(size=u.shape).astype(np.float32)
    pairs = replace(
        data,
        features=blind,
        first=u.astype(np.float32),
        second=v.astype(np.float32),
        targets=5 * share,
        pairs=[f"{text} again" for text in data.texts],
    )
    candidate = train(pairs, None, spec(reading=Reading.JOINT, metric="spearman"))
    assert candidate.head.reading is Reading.SEPARATE
    assert score_of(candidate, "spearman") > 0.7
    part = replace(pairs, rows=pairs.rows + np.uint64(9000), texts=[f"new {text}" for text in pairs.texts])
    again = train(part, None, spec(reading=Reading.JOINT, metric="spearman"), Incumbent(candidate.head))
    # The incumbent is run on rows that it learned from: what counts is that it could be run on pairs at all.
    assert "incumbent" in {one["name"] for one in again.report["baselines"]}  # type: ignore[attr-defined]


def test_what_cannot_be_learned_from_is_refused() -> None:
    data = make()
    with pytest.raises(TooFewLabels):
        train(replace(data, targets=np.full(150, 3.0)), None, spec())
    with pytest.raises(NoExamples):
        train(make(0), None, spec())
    with pytest.raises(InvalidArgument, match="finite"):
        train(replace(data, features=np.full_like(data.features, np.nan)), None, spec())
    with pytest.raises(InvalidArgument, match="target"):
        train(replace(data, targets=np.full(150, np.inf)), None, spec())
    with pytest.raises(InvalidArgument, match="metric"):
        train(data, None, spec(metric="accuracy"))


@pytest.mark.parametrize("rows", [2, 3, 5, 12])
def test_very_few_rows_train_without_a_crash(rows: int) -> None:
    assert np.isfinite(given(train(make(rows), None, spec()).head, make(seed=1))).all()
