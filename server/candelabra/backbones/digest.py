"""sha256 of files, remembered beside the files so that a start does not read the weights again."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

SIDECAR = ".sha256.json"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered(folder: Path, name: str) -> str:
    """The digest of a file in our own cache, read anew only if its size or time changed."""
    path = folder / name
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns]
    known = _read(folder)
    if name in known and known[name][:2] == stamp:
        return str(known[name][2])
    digest = sha256(path)
    _write(folder, {**known, name: [*stamp, digest]})
    return digest


def _read(folder: Path) -> dict[str, list[object]]:
    try:
        known = json.loads((folder / SIDECAR).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: value for name, value in known.items() if isinstance(value, list) and len(value) == 3}


def _write(folder: Path, known: dict[str, list[object]]) -> None:
    temporary = folder / f"{SIDECAR}.{os.getpid()}"
    try:
        temporary.write_text(json.dumps(known))
        os.replace(temporary, folder / SIDECAR)
    except OSError:  # a read-only cache is fine: the digest is computed again next time
        temporary.unlink(missing_ok=True)
