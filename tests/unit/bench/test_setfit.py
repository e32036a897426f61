"""Which pairs SetFit is given, which runs are due, and when its environment is made."""

from __future__ import annotations

import subprocess
import venv
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest

from bench import setfit

ROWS = [{"text": f"{at}", "label": label} for at, label in enumerate("aaabbc")]


def test_oversampling_draws_the_rarer_kind_as_often_as_the_other() -> None:
    alike = [one["label"] == other["label"] for one, other in combinations_with_replacement(ROWS, 2)]
    assert setfit.pairs(ROWS) == 2 * max(sum(alike), len(alike) - sum(alike))


def test_of_one_label_every_pair_is_alike() -> None:
    assert setfit.pairs(ROWS[:3]) == 2 * 6


def test_too_many_pairs_are_drawn_as_published() -> None:
    assert setfit.iterations(ROWS) is None
    assert setfit.iterations([{"label": at % 77} for at in range(77 * 8)]) == 20


def test_a_large_test_split_is_thinned_to_the_same_rows_every_time() -> None:
    assert setfit.some(ROWS, 6) == ROWS
    assert len(setfit.some(ROWS, 4)) == 4
    assert setfit.some(ROWS, 4) == setfit.some(ROWS, 4)


def test_fewer_examples_come_first() -> None:
    found = [key for key, *_ in setfit.wanted(["sst2", "banking77"], (8, 16), 2)]
    assert found == [f"{name}/{shots}/{seed}" for shots in (8, 16) for name in ("banking77", "sst2") for seed in (0, 1)]


def test_only_datasets_of_the_few_shot_table_are_measured() -> None:
    assert setfit.wanted(["stsb"], (8,), 1) == []
    assert {case.name for _, case, _, _ in setfit.wanted([], (8,), 1)} == set(setfit.FEW)


def test_an_environment_is_made_once_and_anew_when_its_versions_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def create(folder: Path, clear: bool) -> None:
        folder.mkdir(exist_ok=True)

    def run(command: list[str], **_: Any) -> None:
        calls.append(command)

    monkeypatch.setattr(venv, "create", create)
    monkeypatch.setattr(subprocess, "run", run)
    folder = tmp_path / "setfit"
    assert setfit.environment(folder) == setfit.environment(folder) == folder / "bin" / "python"
    [command] = calls
    assert command[command.index("-c", 2) + 1] == str(setfit.CONSTRAINTS)  # which alone may choose torch
    monkeypatch.setattr(setfit, "PACKAGES", ("setfit==0",))
    setfit.environment(folder)
    assert len(calls) == 2
