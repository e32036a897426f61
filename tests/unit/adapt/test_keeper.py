"""What trainings leave lies with its dataset until a row is forgotten, whatever is under way then."""

from __future__ import annotations

from pathlib import Path

import pytest

from candelabra.adapt.keeper import Keeper, Loan
from candelabra.errors import DatasetNotFound
from candelabra.registry import Registry
from candelabra.types import Example, OwnedName

ROWS = OwnedName("acme", "rows")


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    registry = Registry.open(f"sqlite:///{tmp_path}/registry.sqlite3")
    registry.datasets.append(ROWS, [Example(f"text {at}", ("on",), id=f"row-{at}") for at in range(4)])
    return Keeper(registry, tmp_path / "kept")


def job(keeper: Keeper, name: str) -> Loan:
    return keeper.lend(ROWS, keeper.folder.parent / name / "kept")


def left(loan: Loan) -> dict[str, str]:
    return {path.name: path.read_text() for path in loan.at.iterdir()}


def ended(keeper: Keeper, name: str, **files: str) -> None:
    """A job that leaves these files."""
    loan = job(keeper, name)
    for file, content in files.items():
        (loan.at / file).write_text(content)
    keeper.take_back(loan)


def test_the_next_job_gets_what_the_last_one_left(keeper: Keeper) -> None:
    assert left(job(keeper, "first")) == {}
    ended(keeper, "second", sums="1", words="2")
    ended(keeper, "third", sums="3")
    keeper.registry.datasets.append(ROWS, [Example("more", ("off",))])
    keeper.sweep()
    assert left(job(keeper, "fourth")) == {"sums": "3", "words": "2"}


def test_a_job_writes_into_a_copy(keeper: Keeper) -> None:
    ended(keeper, "first", sums="1")
    cancelled = job(keeper, "second")
    (cancelled.at / "sums").write_text("2")
    assert left(job(keeper, "third")) == {"sums": "1"}


def test_what_is_dropped_is_gone(keeper: Keeper) -> None:
    ended(keeper, "first", sums="1")
    keeper.drop(ROWS)
    keeper.drop(OwnedName("acme", "never-was"))
    assert not [path for path in keeper.folder.rglob("*") if path.is_file()]
    assert left(job(keeper, "second")) == {}


def test_a_job_that_ends_after_a_row_was_forgotten_leaves_nothing(keeper: Keeper) -> None:
    running = job(keeper, "first")
    (running.at / "sums").write_text("of a forgotten row")
    keeper.registry.datasets.forget(ROWS, ["row-1"])
    keeper.drop(ROWS)
    keeper.take_back(running)
    assert not [path for path in keeper.folder.rglob("*") if path.is_file()]
    assert left(job(keeper, "second")) == {}


@pytest.mark.parametrize("anew", [False, True])
def test_a_job_that_ends_after_its_dataset_was_deleted_leaves_nothing(keeper: Keeper, anew: bool) -> None:
    running = job(keeper, "first")
    (running.at / "sums").write_text("1")
    keeper.registry.datasets.delete(ROWS)
    if anew:
        keeper.registry.datasets.append(ROWS, [Example("text", ("on",))])
    keeper.take_back(running)
    assert not [path for path in keeper.folder.rglob("*") if path.is_file()]
    if not anew:
        with pytest.raises(DatasetNotFound):
            job(keeper, "second")


def test_what_a_crash_kept_from_being_dropped_is_swept_up(keeper: Keeper) -> None:
    ended(keeper, "first", sums="1")
    keeper.registry.datasets.forget(ROWS, ["row-1"])
    assert left(job(keeper, "second")) == {}  # never read again, and yet there
    assert [path for path in keeper.folder.rglob("*") if path.is_file()]
    keeper.sweep()
    assert not [path for path in keeper.folder.rglob("*") if path.is_file()]
