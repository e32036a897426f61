"""What one training of a dataset leaves for the next: the exact sums of its rows, and what words alone say of them.

Both are functions of rows, and each is kept with a mark of the rows that it is of. Where a dataset has only grown the
sums take on what is new, and the words' answers stand for the rows that they were made of. Where any of those rows is
gone, or has another text, label or feature, both are made anew. It is a cache: a file that is missing or torn is no
loss. No row, text or feature is in it.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from candelabra.adapt import baselines
from candelabra.adapt.baselines import Baseline
from candelabra.adapt.statistics import Statistics

LOG = logging.getLogger(__name__)
VERSION = 1
SUMS, WORDS = "sums.safetensors", "words.safetensors"
ENOUGH = 0.9
"""Words are asked again when the rows that they have answered for are less than this share of all."""


class Kept:
    """Of a training set with `rows` rows; what is asked about parts of it is answered and not kept."""

    def __init__(self, rows: int = 0) -> None:
        self.rows = rows
        self._sums: tuple[str, Statistics] | None = None
        self._words: tuple[str, Baseline] | None = None
        self._changed: set[str] = set()

    @classmethod
    def load(cls, folder: Path, rows: int) -> Kept:
        """With what sound files there are."""
        made = cls(rows)
        if (found := _read(folder / SUMS)) is not None:
            tensors, mark = found
            gram = tensors.pop("gram").T
            made._sums = (mark, Statistics(int(tensors.pop("rows")[0]), gram=gram, **tensors))
        if (found := _read(folder / WORDS)) is not None:
            tensors, mark = found
            made._words = (mark, Baseline(tensors["rows"], tensors["probabilities"], int(tensors["learned"][0])))
        return made

    def save(self, folder: Path) -> None:
        """Writes what is new. A full disk or the like costs the next training its head start and this one nothing."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._sums is not None and SUMS in self._changed:
                mark, sums = self._sums
                # safetensors knows rows first: the transposed lower triangle is the upper one.
                tensors = {"total": sums.total, "gram": sums.gram.T, "cross": sums.cross, "counts": sums.counts}
                _write(folder / SUMS, {"rows": np.array([sums.rows]), **tensors}, mark)
            if self._words is not None and WORDS in self._changed:
                mark, words = self._words
                tensors = {"rows": words.rows, "probabilities": words.probabilities}
                _write(folder / WORDS, {"learned": np.array([words.learned]), **tensors}, mark)
        except (OSError, SafetensorError) as error:
            LOG.warning("nothing is kept for the next training", extra={"path": str(folder), "error": str(error)})

    def statistics(self, features: np.ndarray, truth: np.ndarray) -> Statistics:
        """`Statistics.of` the rows, bit for bit: int16 features as `fixed` gives them, and truth on its grid.

        d² operations for each row that is new, and the others are read once.
        """
        before = self._sums
        first = before[1].rows if before is not None and before[1].rows <= len(features) else 0
        mark, everything = _marks([_bytes(features, first), _bytes(truth, first)], _shape(features, truth))
        if before is not None and first and before[0] == mark:
            if first == len(features):
                return before[1]
            found = before[1].copy()
            found.add(features[first:], truth[first:])
        else:
            found = Statistics.of(features, truth)
        if len(features) == self.rows:
            self._sums = (everything, found)
            self._changed.add(SUMS)
        return found

    def baseline(self, texts: Sequence[str], targets: np.ndarray, labels: int, seed: int) -> Baseline:
        """`baselines.tfidf` of these rows, or what it said of the first ENOUGH of them before the others came."""
        before = self._words
        first = before[1].learned if before is not None and ENOUGH * len(texts) <= before[1].learned else 0
        first = min(first, len(texts))
        read = _text(texts[:first]), _text(texts[first:])
        mark, everything = _marks([read, _bytes(targets, first)], f"{_shape(targets)} {labels} {seed}")
        if before is not None and first == before[1].learned and before[0] == mark:
            return before[1]
        found = baselines.tfidf(texts, targets, labels, seed)
        if len(texts) == self.rows:
            self._words = (everything, found)
            self._changed.add(WORDS)
        return found


Halves = tuple[bytes | memoryview, bytes | memoryview]


def _marks(parts: Sequence[Halves], about: str) -> tuple[str, str]:
    """Of the first rows, and of all, each part being read once."""
    digests = [blake2b(about.encode(), digest_size=16) for _ in parts]
    for digest, (first, _) in zip(digests, parts, strict=True):
        digest.update(first)
    mark = "".join(digest.hexdigest() for digest in digests)
    for digest, (_, rest) in zip(digests, parts, strict=True):
        digest.update(rest)
    return mark, "".join(digest.hexdigest() for digest in digests)


def _bytes(array: np.ndarray, first: int) -> Halves:
    whole = np.ascontiguousarray(array)
    return whole[:first].data.cast("B") if first else b"", whole[first:].data.cast("B") if len(whole) > first else b""


def _text(texts: Sequence[str]) -> bytes:
    return "".join(f"{len(text)} {text}" for text in texts).encode("utf-8", "surrogatepass")


def _shape(*arrays: np.ndarray) -> str:
    return " ".join(f"{array.dtype} {array.shape[1:]}" for array in arrays)


def _write(path: Path, tensors: Mapping[str, np.ndarray], mark: str) -> None:
    """Beside its place and renamed: a reader finds the old file or the new one. Not synced, being a cache."""
    ready = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        save_file(ready, temporary, {"about": json.dumps([VERSION, path.name, mark, _content(ready)])})
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> tuple[dict[str, np.ndarray], str] | None:
    try:
        with safe_open(path, framework="numpy") as file:
            *kind, mark, content = json.loads((file.metadata() or {})["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        LOG.warning("what was kept cannot be read and is made anew", extra={"path": str(path), "error": str(error)})
        return None
    if kind != [VERSION, path.name] or content != _content(tensors):
        LOG.warning("what was kept is not what was written, and is made anew", extra={"path": str(path)})
        return None
    return tensors, str(mark)


def _content(tensors: Mapping[str, np.ndarray]) -> str:
    digest = blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {_shape(tensors[name])}".encode())
        digest.update(_bytes(tensors[name], 0)[1])
    return digest.hexdigest()
