"""Words are learned honestly, and a lexical body is kept small without changing its mind."""

from __future__ import annotations

import numpy as np

from candelabra.adapt.words import NEVER, Words, fold_of, strongest
from candelabra.types import TaskKind

RANDOM = np.random.default_rng(0)
THINGS = (("harbour", "quay", "pier"), ("meadow", "orchard", "hedge"), ("attic", "cellar", "porch"))
FILLER = tuple(f"{a}{b}" for a in ("ba", "lo", "mi", "tu", "ker", "sol") for b in ("ran", "dek", "pim", "vost", "lia"))
TARGETS = np.arange(180) % 3
TEXTS = [" ".join([*RANDOM.choice(FILLER, 7), RANDOM.choice(THINGS[target])]) for target in TARGETS]


def words(kind: TaskKind = TaskKind.SINGLE_LABEL, targets: np.ndarray = TARGETS, labels: int = 3) -> Words:
    return Words.of(TEXTS, targets, labels, kind)


def test_unseen_rows_are_told_apart() -> None:
    rows, logits, hint = words().out_of_fold(fold_of(TARGETS, 5, 0), range(5))
    assert sorted(rows) == list(range(180))
    assert (logits.argmax(axis=1) == TARGETS[rows]).mean() > 0.95
    assert hint.shape == (len(words().terms), 3)
    shuffled = RANDOM.permutation(TARGETS)
    rows, logits, _ = words(targets=shuffled).out_of_fold(fold_of(shuffled, 5, 0), range(5))
    assert (logits.argmax(axis=1) == shuffled[rows]).mean() < 0.55


def test_a_smaller_body_decides_alike() -> None:
    made = words()
    hint, _ = made.solve(np.arange(180))
    whole = made.body(hint)
    size = sum(tensor.nbytes for tensor in whole.tensors().values())
    small = made.body(hint, size // 3)
    assert sum(tensor.nbytes for tensor in small.tensors().values()) <= size // 3 + 100
    assert (small.of(TEXTS).argmax(axis=1) == whole.of(TEXTS).argmax(axis=1)).mean() > 0.97
    assert {"harbour", "meadow", "attic"} <= set(small.terms.words)


def test_a_smaller_body_reads_texts_as_it_was_trained() -> None:
    made = words()
    hint, _ = made.solve(np.arange(180))
    kept = strongest(made.terms, hint, 4000)
    assert 0 < len(kept) < len(made.terms)
    served = made.terms.take(kept).matrix(TEXTS)
    np.testing.assert_allclose(served.toarray(), made._taken(kept).toarray(), atol=1e-6)


def test_two_labels_are_one_fit() -> None:
    made = words(targets=TARGETS % 2, labels=2)
    weight, bias = made.solve(np.arange(180))
    np.testing.assert_array_equal(weight[:, 0], -weight[:, 1])
    assert bias[0] == -bias[1]


def test_a_label_that_all_rows_have_is_certain() -> None:
    truth = np.stack([np.ones(180), TARGETS == 0], axis=1)
    weight, bias = words(TaskKind.MULTI_LABEL, truth, 2).solve(np.arange(180))
    assert bias[0] == NEVER
    assert not weight[:, 0].any()


def test_numbers_come_in_their_own_unit() -> None:
    numbers = 50.0 + 5 * TARGETS
    rows, made, _ = words(TaskKind.REGRESSION, numbers, 0).out_of_fold(fold_of(numbers, 5, 0), range(5))
    assert np.abs(made[:, 0] - numbers[rows]).mean() < 2.5
    assert np.corrcoef(made[:, 0], numbers[rows])[0, 1] > 0.9


def test_texts_without_words_give_the_shares() -> None:
    made = Words.of(["", "", "", ""], np.array([0, 1, 1, 1]), 2, TaskKind.SINGLE_LABEL)
    weight, bias = made.solve(np.arange(4))
    assert weight.shape == (0, 2)
    np.testing.assert_allclose(np.exp(bias[1]) / np.exp(bias).sum(), 0.75, atol=1e-6)
