"""The ledger of the bench: its files, and what follows from results side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ledgers import complete

from bench import datasets, ledger
from bench.ledger import Ledger, entry
from bench.suite import CASES

BANKING = next(case for case in CASES if case.name == "banking77")


def test_results_are_kept_one_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "RESULTS", tmp_path / "results")
    assert ledger.load("quality") == {}
    results = {"b/auto/full/0": {"test": 0.5, "confusion": [[1, 0], [0, 1]]}, "a/auto/full/0": {"error": "no"}}
    ledger.save("quality", results)
    assert ledger.load("quality") == results
    lines = (tmp_path / "results" / "quality.json").read_text().splitlines()
    assert len(lines) == 4
    assert json.loads("{" + lines[1].rstrip(",") + "}") == {"a/auto/full/0": {"error": "no"}}


def test_names_of_measurements() -> None:
    assert entry(BANKING, "auto") == "banking77/auto/full/0"
    assert entry(BANKING, "logreg", 8, 2) == "banking77/logreg/8/2"


def test_what_is_not_there_is_none() -> None:
    empty = Ledger()
    assert empty.full(BANKING) is None
    assert empty.few(BANKING, "auto", 8) == []
    assert empty.probe(BANKING) is None
    assert empty.best(BANKING) is None
    assert empty.closed(BANKING) is None
    assert Ledger({"banking77/auto/full/0": {"error": "no"}}).full(BANKING) is None


def test_share_of_the_gap() -> None:
    assert complete(0.7).closed(BANKING) == pytest.approx(0.7)
    assert complete(-0.2).closed(BANKING) == pytest.approx(-0.2)


def test_there_is_no_gap_where_full_fine_tuning_gains_nothing() -> None:
    full = complete()
    assert replace(full, tuned={BANKING.dataset: {"test": BANKING.floor + 0.004}}).closed(BANKING) is None


def test_a_ledger_can_be_read_without_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "RESULTS", tmp_path)
    monkeypatch.setenv("CANDELABRA_DATA", str(tmp_path / "none"))
    ledger.save("probes", {"banking77": {"test": 0.9}})
    ledger.save("setfit", {"banking77/8/1": {"test": 0.8}})
    read = Ledger.read()
    assert read.few(BANKING, "setfit", 8) == [{"test": 0.8}]
    assert read.probe(BANKING) == 0.9
    assert read.majorities == {}
    with pytest.raises(datasets.Absent):
        datasets.folder()
