"""The baselines score rows they have not seen, and survive odd texts."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt import baselines
from candelabra.adapt.scores import one_hot

TEXTS = [
    f"{subject} {verb} the {thing}"
    for subject in ("she", "he", "we")
    for verb in ("paid", "sang")
    for thing in ("bill", "song", "tax", "hymn", "rent", "tune", "debt", "aria")
]
TARGETS = np.array([int("sang" in text) for text in TEXTS])


def test_words_that_tell_are_found_on_unseen_rows() -> None:
    made = baselines.tfidf(TEXTS, TARGETS, 2, 0)
    assert sorted(made.rows) == list(range(len(TEXTS)))
    assert (made.probabilities.argmax(axis=1) == TARGETS[made.rows]).mean() > 0.9


def test_shuffled_labels_are_not_seen_through() -> None:
    targets = np.random.default_rng(0).permutation(TARGETS)
    made = baselines.tfidf(TEXTS, targets, 2, 0)
    assert (made.probabilities.argmax(axis=1) == targets[made.rows]).mean() < 0.75


def test_multi_label_probabilities_are_per_label() -> None:
    truth = np.stack([TARGETS, np.ones_like(TARGETS), np.zeros_like(TARGETS)], axis=1).astype(np.uint8)
    made = baselines.tfidf(TEXTS, truth, 3, 0)
    assert (made.probabilities[:, 1] > 1 - 1e-9).all()
    assert (made.probabilities[:, 2] < 1e-9).all()


@pytest.mark.parametrize("texts", [["?"] * 6, ["", " ", "!", ".", "-", "…"], ["x"] * 6])
def test_texts_without_words_are_survived(texts: list[str]) -> None:
    made = baselines.tfidf(texts, np.arange(6) % 2, 2, 0)
    assert np.isfinite(made.probabilities).all()


def test_a_label_seen_once_and_many_labels_are_survived() -> None:
    targets = np.arange(len(TEXTS))
    made = baselines.tfidf(TEXTS, targets, len(TEXTS), 0)
    assert made.probabilities.shape[1] == len(TEXTS)
    assert len(made.rows) > 0
    unseen = baselines.held_out(TEXTS, TARGETS, ["they sang an aria", "they paid a tax"], 2)
    assert unseen.argmax(axis=1).tolist() == [1, 0]


def test_the_majority_answer() -> None:
    targets = np.array([0, 1, 1])
    assert baselines.majority(targets, one_hot(targets, 2)).tolist() == [[0, 1]] * 3
    truth = np.array([[1, 0], [1, 0], [0, 1]], np.uint8)
    assert baselines.majority(truth, truth).tolist() == [[1, 0]] * 3


def test_numbers_have_a_floor_too() -> None:
    numbers = 3.0 + 2.0 * TARGETS
    made = baselines.tfidf(TEXTS, numbers, 1, 0)
    assert made.probabilities.shape == (len(TEXTS), 1)
    assert np.corrcoef(made.probabilities[:, 0], numbers[made.rows])[0, 1] > 0.9
    unseen = baselines.held_out(TEXTS, numbers, ["they sang an aria", "they paid a tax"], 1)
    assert unseen[0, 0] > 4 > unseen[1, 0]


def test_what_it_was_learned_from_is_told_where_more_came() -> None:
    made = baselines.tfidf(TEXTS, TARGETS, 2, 0)
    assert made.note(len(TEXTS)) == ""
    assert f"the first {len(TEXTS)} of {len(TEXTS) + 1}" in made.note(len(TEXTS) + 1)
