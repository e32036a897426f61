"""Where lies what one training of a dataset leaves for the next: a folder a dataset, lent to a job and taken back.

Forgetting must reach it whatever happens meanwhile. A dataset's folder has one inside for each of its generations, and
a dataset that loses rows is of the next generation. A training works on a copy beside its own files, which comes back
under the generation that it was lent from, and goes if that is over by then.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from candelabra.errors import DatasetNotFound, Error
from candelabra.registry.registry import Registry
from candelabra.types import DatasetInfo, OwnedName, TaskKind

KINDS = (TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL, TaskKind.REGRESSION)
"""Tasks whose training leaves something."""


@dataclass(frozen=True, slots=True)
class Loan:
    """The copy `at`, and the folder that it is of."""

    dataset: OwnedName
    home: Path
    at: Path


@dataclass(frozen=True, slots=True)
class Keeper:
    """`folder` holds TENANT/DATASET/GENERATION."""

    registry: Registry
    folder: Path

    def lend(self, dataset: OwnedName, at: Path) -> Loan:
        """A copy in the new folder `at`, which is empty where nothing is kept. Raises DatasetNotFound."""
        home = self._home(self.registry.datasets.get(dataset))
        with contextlib.suppress(OSError, shutil.Error):  # dropped in this moment: nothing is kept
            shutil.copytree(home, at)
        at.mkdir(parents=True, exist_ok=True)
        return Loan(dataset, home, at)

    def take_back(self, loan: Loan) -> None:
        """Each file takes the place of the one before. First they lie there, then it is asked whether they may."""
        with contextlib.suppress(OSError):  # it is a cache
            loan.home.mkdir(parents=True, exist_ok=True)
            for path in loan.at.iterdir():
                path.replace(loan.home / path.name)
        if not self._current(loan.dataset, loan.home):
            self.drop(loan.dataset)

    def drop(self, dataset: OwnedName) -> None:
        """Everything of a dataset that has lost rows, or is gone."""
        shutil.rmtree(self.folder / dataset.tenant / dataset.name, ignore_errors=True)

    def sweep(self) -> None:
        """Drops generations that are over: what a crash has left, or what another server's forgetting did not reach."""
        for home in list(self.folder.glob("*/*/*")):
            with contextlib.suppress(Error):
                dataset = OwnedName(home.parent.parent.name, home.parent.name)
                if not self._current(dataset, home):
                    shutil.rmtree(home, ignore_errors=True)

    def _current(self, dataset: OwnedName, home: Path) -> bool:
        try:
            return self._home(self.registry.datasets.get(dataset)) == home
        except DatasetNotFound:
            return False

    def _home(self, info: DatasetInfo) -> Path:
        return self.folder / info.name.tenant / info.name.name / f"{info.created:%Y%m%dT%H%M%S%f}-{info.lost}"
