"""What is written down about a head's answers on a test split."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import ledger, quality, quality_page
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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the report is written instead of docs/."""
    monkeypatch.setattr(ledger, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(quality_page, "PAGE", tmp_path / "quality.md")
    monkeypatch.setattr(quality_page, "IMAGES", tmp_path / "images")
    monkeypatch.setenv("CANDELABRA_DATA", str(tmp_path / "none"))
    return tmp_path


def test_the_report_is_written_without_measuring(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `bench`)")
    from bench import plots

    monkeypatch.setattr(plots, "IMAGES", folder / "images")
    monkeypatch.setattr(plots, "DPI", 20)
    assert "| gap closed, classification, mean |" in quality.write()
    assert "images/gap_closed.png" in (folder / "quality.md").read_text()


def test_without_matplotlib_it_has_no_pictures_and_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name == "bench.plots" or name.startswith("matplotlib.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install -c constraints.txt matplotlib" in quality.write()
    assert "images/" not in (folder / "quality.md").read_text()


def test_what_is_measured() -> None:
    keys = [key for key, *_ in quality.wanted(["banking77", "stsb"], [], True)]
    assert keys[0] == "banking77/auto/full/0"
    assert len(keys) == len(set(keys)) == 8 + 3 * 3 * 5 + 4
    assert [key for key, *_ in quality.wanted([], ["top_k"], False)][:2] == [
        "financial_phrasebank/top_k/full/0",
        "banking77/top_k/full/0",
    ]
