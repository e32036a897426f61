"""What lies with a dataset on disk: its rows as the compact tier reads them, their exact sums, and the last choice.

It is a cache of what the database and the encoder know: a file that is missing, torn or of another backbone is no
loss, `load` says None and it is made again. Forgotten rows leave it by being written anew.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from candelabra.adapt.certificate import Certificate
from candelabra.adapt.online import Online, Refit, Space
from candelabra.adapt.statistics import Statistics

LOG = logging.getLogger(__name__)
VERSION = 1
RECOMPUTED = ("statistics", "penalty", "leave_one_out", "temperature", "conformal")


def path_of(folder: Path, space: Space) -> Path:
    """One file for each backbone and label space of a dataset's folder."""
    return folder / f"{blake2b(_about(space).encode(), digest_size=12).hexdigest()}.safetensors"


def save(online: Online, folder: Path) -> Path:
    """Written beside its place and renamed: a reader finds the old file or the new one. Not synced, being a cache."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = online.statistics
    tensors = {
        "digests": online.digests,
        "rows": online.rows,
        "targets": online.targets,
        "total": sums.total,
        # safetensors knows rows first: the transposed lower triangle is the upper one.
        "gram": np.ascontiguousarray(sums.gram.T),
        "cross": sums.cross,
        "counts": sums.counts,
    }
    metadata = {
        "about": _about(online.space),
        "parts": json.dumps(online.parts),
        "sums": sums.digest,
        "kept": _digest(online.digests, online.rows, online.targets),
    }
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
    os.close(handle)
    path = path_of(folder, online.space)
    try:
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, temporary, metadata)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def load(folder: Path, space: Space) -> Online | None:
    """None where there is no sound file of this space."""
    path = path_of(folder, space)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _made(space, metadata, tensors)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        LOG.warning("prepared rows cannot be read and are made again", extra={"path": str(path), "error": str(error)})
        return None


def drop(folder: Path) -> None:
    """All files of a dataset."""
    for path in folder.glob("*.safetensors"):
        path.unlink(missing_ok=True)


def forget(online: Online, digests: Sequence[int] | np.ndarray) -> tuple[Refit, Certificate]:
    """Rows leave, the head is chosen and made anew, and an audit from scratch proves it."""
    before = (len(online), online.statistics.digest)
    online.forget(digests)
    refit = online.refit(search=True)
    after = (len(online), online.statistics.digest)
    proof = Certificate.of(online.space.backbone, before, after, len(set(digests)), online.audit(), RECOMPUTED)
    return refit, proof


def _made(space: Space, metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> Online:
    rows, width, outputs = len(tensors["digests"]), space.width, space.outputs
    shapes = {
        "digests": ((rows,), np.uint64),
        "rows": ((rows, width), np.int16),
        "targets": ((rows, outputs), np.float64),
        "total": ((width,), np.float64),
        "gram": ((width, width), np.float64),
        "cross": ((width, outputs), np.float64),
        "counts": ((outputs,), np.float64),
    }
    for name, (shape, dtype) in shapes.items():
        if tensors[name].shape != shape or tensors[name].dtype != dtype:
            raise ValueError(f"{name} is {tensors[name].dtype} {tensors[name].shape}")
    sums = Statistics(rows, tensors["total"], tensors["gram"].T, tensors["cross"], tensors["counts"])
    kept = _digest(tensors["digests"], tensors["rows"], tensors["targets"])
    if metadata["about"] != _about(space) or metadata["sums"] != sums.digest or metadata["kept"] != kept:
        raise ValueError("the rows or their sums are not those that were written")
    made = Online(space)
    made.put(tensors["digests"], tensors["rows"], tensors["targets"], summed=True)
    made.statistics = sums
    made.parts = tuple((str(solver), float(penalty), float(weight)) for solver, penalty, weight in _parts(metadata))
    return made


def _digest(*arrays: np.ndarray) -> str:
    digest = blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _parts(metadata: dict[str, str]) -> list[tuple[str, float, float]]:
    found: list[tuple[str, float, float]] = json.loads(metadata["parts"])
    return found


def _about(space: Space) -> str:
    return json.dumps(
        {
            "version": VERSION,
            "backbone": space.backbone,
            "slots": [[slot.layer, slot.pooling] for slot in space.slots],
            "dimension": space.dimension,
            "kind": space.kind.value,
            "labels": list(space.labels),
            "soft": space.soft,
        }
    )
