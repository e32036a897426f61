"""The head store: files that are named by their content, and are therefore never changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from candelabra.errors import CorruptHead, InvalidArgument

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
HEAD = ".safetensors"
EVIDENCE = ".evidence"
TEMPORARY = ".tmp"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class HeadStore:
    """`folder/heads/ab/abcd….safetensors`. Several servers may share the folder.

    A file is complete as soon as it has its name, also after a loss of power. A file that no head version names is
    an orphan: left by a crash, harmless, and taken away by `sweep`.
    """

    def __init__(self, folder: Path) -> None:
        self._heads = folder / "heads"
        self._heads.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        """Keeps a head; returns its digest once the file is safely on the disk."""
        digest = digest_of(data)
        path = self._path(digest, HEAD)
        with self._lock(fcntl.LOCK_SH):
            if not _refresh(path, data):
                _write(path, data)
        return digest

    def get(self, digest: str) -> bytes:
        """The head's bytes, checked against the digest."""
        try:
            data = self._path(digest, HEAD).read_bytes()
        except FileNotFoundError:
            raise CorruptHead(
                f"The file of the head {digest} is gone from the head store: restore it from a backup, or train the "
                "head again.",
                digest=digest,
            ) from None
        if (found := digest_of(data)) != digest:
            raise CorruptHead(
                f"The file of the head {digest} holds {len(data)} bytes with the digest {found}: it is damaged. "
                "Restore it from a backup, or train the head again.",
                digest=digest,
            )
        return data

    def put_evidence(self, digest: str, data: bytes) -> None:
        """Keeps what the gate saw of a head, beside the head."""
        _write(self._path(digest, EVIDENCE), data)

    def get_evidence(self, digest: str) -> bytes | None:
        try:
            return self._path(digest, EVIDENCE).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, digest: str) -> None:
        """Takes a head away at once. Only for one that no version can name any more; `sweep` is safe for all."""
        with self._lock(fcntl.LOCK_EX):
            for kind in (HEAD, EVIDENCE):
                self._path(digest, kind).unlink(missing_ok=True)

    def sweep(self, keep: set[str], older_than_seconds: float) -> int:
        """Takes away orphans and temporary files, and tells how many.

        Younger files stay: another server may have written one and be about to commit the version that names it.
        Read `keep` from the registry before each sweep, and make the grace longer than any commit takes.
        """
        before = time.time() - older_than_seconds
        removed = 0
        for path in self._heads.glob("??/*"):
            if f"sha256:{path.name.partition('.')[0]}" in keep and path.suffix != TEMPORARY:
                continue
            with self._lock(fcntl.LOCK_EX):
                removed += _remove_if_older(path, before)
        return removed

    def _path(self, digest: str, kind: str) -> Path:
        match = DIGEST.fullmatch(digest)
        if match is None:
            raise InvalidArgument(
                f"{digest[:80]!r} is not a digest: it looks like sha256: and 64 of 0-9a-f.", field="digest"
            )
        name = match.group(1)
        return self._heads / name[:2] / (name + kind)

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        # A put that finds its file makes it young again; without the lock a sweep could have judged it before.
        with (self._heads / ".lock").open("a") as file:
            fcntl.flock(file, kind)
            yield


def _refresh(path: Path, data: bytes) -> bool:
    """Makes a file that is there already young for `sweep`. False: it is absent or damaged and must be written."""
    try:
        os.utime(path)
        return path.read_bytes() == data
    except FileNotFoundError:
        return False


def _write(path: Path, data: bytes) -> None:
    if not path.parent.is_dir():
        path.parent.mkdir(exist_ok=True)
        _sync_folder(path.parent.parent)
    # The dot first: `sweep` must not take the name for a digest.
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}{TEMPORARY}"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_older(path: Path, before: float) -> bool:
    try:
        if path.stat().st_mtime >= before:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True
