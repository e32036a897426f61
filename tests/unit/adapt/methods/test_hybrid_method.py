"""HYBRID takes from the encoder and from the words what each knows, and leaves out the part that says nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt import race
from candelabra.adapt.methods import closed_form, hybrid
from candelabra.adapt.methods.hybrid import Stack
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.engine.row import Inputs
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.bodies.hybrid import Hybrid
from candelabra.heads.bodies.lexical import Lexical
from candelabra.types import Method, Progress, Slot, TaskKind

SLOTS = (Slot(1, "mean"), Slot(2, "mean"))
D = 6
WORDS = (("harbour", "quay", "pier"), ("meadow", "orchard", "hedge"))
FILLER = ("we", "saw", "the", "old", "one", "at", "noon", "again")


def rows(n: int = 120, encoder: float = 1.0, words: float = 0.7, seed: int = 0) -> TrainingSet:
    """Two labels. Vectors lie `encoder` apart; a share `words` of the texts names its label's own things."""
    random = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    features = random.normal(size=(n, 2, D)).astype(np.float32)
    features[:, 1, 0] += encoder * (2 * targets - 1)
    features += 3
    texts = []
    for target in targets:
        tells = random.random() < words
        named = random.choice(WORDS[target] if tells else FILLER)
        texts.append(" ".join([*random.choice(FILLER, 5), named]))
    return TrainingSet(
        texts=texts,
        features=features,
        slots=SLOTS,
        labels=("port", "field"),
        targets=targets,
        rows=np.arange(n, dtype=np.uint64),
    )


def spec(kind: TaskKind = TaskKind.SINGLE_LABEL, **options: object) -> TrainSpec:
    return TrainSpec(
        task_kind=kind, method=Method.HYBRID, metric="accuracy", backbone="b", domain="d", task="t", options=options
    )


def silent(progress: Progress) -> None:
    pass


def logits(fitted: hybrid.Fitted, data: TrainingSet) -> np.ndarray:
    columns = data.columns(fitted.body.slots) if fitted.body.slots else np.zeros((len(data.texts), 0), np.float32)
    assert columns is not None
    return np.asarray(fitted.body.logits(Inputs(columns, (), hybrid.texts_of(data))))


def accuracy(fitted: hybrid.Fitted, data: TrainingSet) -> float:
    return float((logits(fitted, data).argmax(axis=1) == data.targets).mean())


def test_both_together_are_better_than_either() -> None:
    data, test = rows(), rows(600, seed=1)
    both = hybrid.fit(data, spec(), silent)
    assert isinstance(both.body, Hybrid)
    encoded = closed_form.fit(data, replace(spec(), method=Method.CLOSED_FORM), silent)
    words = hybrid.fit_lexical(data, spec(), silent)
    assert accuracy(both, test) > max(accuracy(encoded, test), accuracy(words, test)) + 0.02
    scored = [race.losses(one.logits, data.targets[one.rows], TaskKind.SINGLE_LABEL).mean() for one in (encoded, words)]
    assert race.losses(both.logits, data.targets[both.rows], TaskKind.SINGLE_LABEL).mean() < min(scored)
    assert 0.1 < float(both.chosen["encoder_share"]) < 0.9


def test_the_reported_logits_are_honest() -> None:
    data = rows(200)
    fitted = hybrid.fit(data, spec(), silent)
    seen = (fitted.logits.argmax(axis=1) == data.targets[fitted.rows]).mean()
    assert abs(seen - accuracy(fitted, rows(1500, seed=4))) < 0.08
    shuffled = replace(data, targets=np.random.default_rng(3).permutation(data.targets))
    blind = hybrid.fit(shuffled, spec(), silent)
    assert (blind.logits.argmax(axis=1) == shuffled.targets[blind.rows]).mean() < 0.65


def test_words_that_say_nothing_are_left_out() -> None:
    fitted = hybrid.fit(rows(encoder=2.0, words=0.0), spec(), silent)
    assert isinstance(fitted.body, Dense)
    assert fitted.chosen["words"] == "left out"


def test_an_encoder_that_says_nothing_is_not_run() -> None:
    fitted = hybrid.fit(rows(encoder=0.0, words=1.0), spec(), silent)
    assert isinstance(fitted.body, Lexical)
    assert fitted.body.slots == ()
    assert accuracy(fitted, rows(200, encoder=0.0, words=1.0, seed=1)) > 0.95


def test_words_alone_can_be_asked_for() -> None:
    fitted = hybrid.fit(rows(), spec(words_only=True), silent)
    assert isinstance(fitted.body, Lexical)
    assert sorted(fitted.rows) == list(range(120))


def test_several_labels() -> None:
    data = rows(200)
    several = np.stack([data.targets, np.arange(200) % 5 == 0, np.zeros(200)], axis=1).astype(np.uint8)
    fitted = hybrid.fit(replace(data, targets=several, labels=("a", "b", "c")), spec(TaskKind.MULTI_LABEL), silent)
    assert fitted.logits.shape[1] == fitted.body.outputs == 3
    assert ((fitted.logits[:, 0] > 0) == several[fitted.rows, 0]).mean() > 0.75
    assert np.isfinite(fitted.logits).all()


def test_numbers_come_in_the_targets_unit() -> None:
    data, test = rows(200), rows(400, seed=2)
    numbers = 100 + 10 * data.targets + np.random.default_rng(0).normal(size=200)
    fitted = hybrid.fit(replace(data, targets=numbers, labels=()), spec(TaskKind.REGRESSION), silent)
    assert isinstance(fitted.body, Hybrid)
    assert np.abs(logits(fitted, test)[:, 0] - (100 + 10 * test.targets)).mean() < 4
    assert np.corrcoef(fitted.logits[:, 0], numbers[fitted.rows])[0, 1] > 0.7


def test_both_texts_of_a_pair_are_read() -> None:
    data = rows(encoder=0.0)
    pairs = replace(data, texts=["the one"] * 120, pairs=data.texts)
    fitted = hybrid.fit_lexical(pairs, spec(), silent)
    assert accuracy(fitted, pairs) > 0.75


def test_the_shares_minimise_the_loss_and_are_never_negative() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 400)
    good = 2.0 * np.eye(3)[targets] + random.normal(size=(400, 3))
    against = -good + random.normal(size=(400, 3))
    stack = Stack.of([good, against], targets, TaskKind.SINGLE_LABEL)
    assert (stack.weights >= 0).all()
    assert stack.share > 0.98
    fine = np.eye(3)[targets] + random.normal(size=(400, 3))
    stack = Stack.of([good, fine], targets, TaskKind.SINGLE_LABEL)
    for nudge in ((1.1, 1.0), (0.9, 1.0), (1.0, 1.1), (1.0, 0.9)):
        z = sum(part * weight * by for part, weight, by in zip((good, fine), stack.weights, nudge, strict=True))
        assert hybrid.calibration.negative_log_likelihood(np.asarray(z), targets) >= stack.loss - 1e-6


@pytest.mark.parametrize("options", [{"depth": 1}, {"words_only": 1}, {"ridge": -1}, {"layers": [5]}])
def test_options_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        hybrid.check(options, SLOTS, TaskKind.SINGLE_LABEL)
    with pytest.raises(InvalidArgument):
        hybrid.check({}, SLOTS, TaskKind.ENTITIES)
