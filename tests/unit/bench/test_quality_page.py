"""docs/quality.md: made of what there is, from whatever has been measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ledgers import complete

from bench import ledger, quality_page
from bench.ledger import Ledger


def test_a_page_has_goals_tables_pictures_and_its_origin() -> None:
    page = quality_page.page(complete(), list(quality_page.CAPTIONS))
    headings = re.findall(r"^## (.+)$", page, flags=re.MULTILINE)
    assert headings[:3] == ["Goals", "AUTO on whole training sets", "Few examples"]
    assert set(re.findall(r"\]\(images/(\w+)\.png\)", page)) == set(quality_page.CAPTIONS)
    assert "`make bench-quality`" in page
    assert "Measured 2026-01-02 on a machine." in page
    assert "SetFit" in page
    assert quality_page.NOTHING in page
    assert not re.search(r"\n\n\n|[ \t]$", page, flags=re.MULTILINE)


def test_pictures_that_were_not_drawn_are_not_shown() -> None:
    page = quality_page.page(Ledger(), ["reliability"])
    assert re.findall(r"\]\(images/(\w+)\.png\)", page) == ["reliability"]
    assert "Machine and day: not noted." in page


def test_setfit_is_said_to_be_run_or_not() -> None:
    assert quality_page.SETFIT_NOT_RUN in quality_page.page(complete(), [])
    page = quality_page.page(Ledger({"sst2/setfit/8/0": {"test": 0.7, "seconds": 90.0}}), [])
    assert quality_page.SETFIT_RUN in page
    assert "0.700 (1 of 3 seeds) | not run | 90 |" in page


def test_days_and_machines_are_named() -> None:
    found: dict[str, dict[str, Any]] = {
        "a": {"test": 0.5, "machine": "one", "date": "2026-01-03"},
        "b": {"test": 0.5, "machine": "two", "date": "2026-01-01"},
        "c": {"test": 0.5},
    }
    assert quality_page.machines(Ledger(found)) == "Measured 2026-01-01 to 2026-01-03 on one; two."


def test_it_is_written_with_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(quality_page, "PAGE", tmp_path / "quality.md")
    monkeypatch.setattr(quality_page, "IMAGES", tmp_path)
    (tmp_path / "gap_closed.png").touch()
    quality_page.write(complete())
    assert "images/gap_closed.png" in (tmp_path / "quality.md").read_text()
    assert "images/reliability.png" not in (tmp_path / "quality.md").read_text()
    assert ledger.load("summary")["full/banking77/auto"]["gap_closed"] == pytest.approx(0.9)
