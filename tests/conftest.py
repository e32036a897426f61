"""What tests of every kind share: where the repository and the datasets are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of real datasets: CANDELABRA_DATA, or shared/data beside the repository."""
    folder = Path(os.environ.get("CANDELABRA_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no datasets: {folder} is not a folder; name one with CANDELABRA_DATA")
    return folder
