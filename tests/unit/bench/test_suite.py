"""How decisions of the bench are scored."""

from __future__ import annotations

import pytest

from bench.suite import CASES, majority

BY_METRIC = {case.metric: case for case in CASES}


def test_majority_is_the_most_frequent_answer_of_the_train_split() -> None:
    train = [{"label": label} for label in ("a", "a", "b")]
    test = [{"label": label} for label in ("a", "b", "b", "b")]
    assert majority(BY_METRIC["accuracy"], train, test) == 0.25


@pytest.mark.parametrize(
    ("metric", "score"),
    [("micro_f1", 0.0), ("entity_f1", 0.0), ("pearson", None), ("spearman", None), ("token_f1", None)],
)
def test_majority_of_other_tasks(metric: str, score: float | None) -> None:
    assert majority(BY_METRIC[metric], [], []) == score
