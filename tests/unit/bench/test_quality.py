"""What is written down about a head's answers on a test split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import quality
from candelabra_client import Prediction


def decided(*labels: str) -> Prediction:
    return Prediction("a/b@1", "", labels, (0.9,) if labels else (), {})


def test_confusion_counts_every_pair_of_true_and_decided_label() -> None:
    rows = [{"label": "no"}, {"label": "yes"}, {"label": "yes"}, {"label": "yes"}]
    found = quality.confusion(rows, [decided("no"), decided("yes"), decided("no"), decided("yes")])
    assert found == {"labels": ["no", "yes"], "confusion": [[1, 0], [1, 2]]}


def test_an_abstention_is_a_column_of_its_own() -> None:
    found = quality.confusion([{"label": "no"}, {"label": "yes"}], [decided("no"), decided()])
    assert found == {"labels": ["", "no", "yes"], "confusion": [[0, 0, 0], [0, 1, 0], [1, 0, 0]]}


def test_results_are_kept_one_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "RESULTS", tmp_path / "results")
    assert quality.load("quality") == {}
    results = {"b/auto/full/0": {"test": 0.5, "confusion": [[1, 0], [0, 1]]}, "a/auto/full/0": {"error": "no"}}
    quality.save("quality", results)
    assert quality.load("quality") == results
    lines = (tmp_path / "results" / "quality.json").read_text().splitlines()
    assert len(lines) == 4
    assert json.loads("{" + lines[1].rstrip(",") + "}") == {"a/auto/full/0": {"error": "no"}}
