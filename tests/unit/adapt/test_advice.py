"""Backbones ranked: the best first, the cheapest that is as good recommended, and how much it matters in words."""

from __future__ import annotations

import numpy as np
import pytest

from candelabra.adapt.advice import Trial, advise, paired_interval


def trial(name: str, right: int, seconds: float, rows: int = 400) -> Trial:
    return Trial(name, (np.arange(rows) < right).astype(float), 0.1, 0.2, seconds)


def test_the_best_is_recommended_where_it_is_better_than_chance() -> None:
    found = advise([trial("small", 200, 1.0), trial("large", 300, 9.0)])
    assert [one.name for one in found.backbones] == ["large", "small"]
    assert found.recommended == "large"
    assert "more than chance" in found.recommendation
    assert found.backbones[1].behind == pytest.approx(0.25)
    assert 0.2 < found.backbones[1].behind_low < 0.25 < found.backbones[1].behind_high < 0.3


def test_the_cheaper_is_recommended_where_chance_may_explain_the_difference() -> None:
    found = advise([trial("small", 299, 1.0), trial("large", 300, 9.0), trial("bad", 20, 0.1)])
    assert found.recommended == "small"
    assert [one.name for one in found.backbones] == ["large", "small", "bad"]
    assert "may be chance" in found.recommendation
    assert "9.0 times as long" in found.recommendation


def test_ties_and_loners() -> None:
    assert advise([trial("b", 9, 2.0), trial("a", 9, 1.0)]).recommended == "a"
    assert "only backbone" in advise([trial("a", 9, 1.0)]).recommendation
    assert "none as good is cheaper" in advise([trial("a", 100, 1.0), trial("b", 99, 2.0)]).recommendation


def test_what_cannot_be_compared_is_refused() -> None:
    for trials in ([], [trial("a", 1, 1.0), trial("b", 1, 1.0, rows=9)], [trial("a", 0, 1.0, rows=0)]):
        with pytest.raises(ValueError, match=r"choose|same rows"):
            advise(trials)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(60):
        low, high = paired_interval(np.random.default_rng(seed).normal(0.3, 1, 80), seed)
        hits += low <= 0.3 <= high
    assert hits >= 51
