"""The head store: files named by their content."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from candelabra.errors import CorruptHead, InvalidArgument
from candelabra.heads import store as module
from candelabra.heads.store import HeadStore, digest_of

DATA = b"weights of a small head"


@pytest.fixture
def store(tmp_path: Path) -> HeadStore:
    return HeadStore(tmp_path / "data")


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock")


def age(path: Path, seconds: float = 1000) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_a_head_is_kept_under_its_digest(store: HeadStore, tmp_path: Path) -> None:
    digest = store.put(DATA)
    name = digest.removeprefix("sha256:")
    assert files(tmp_path) == [tmp_path / "data" / "heads" / name[:2] / f"{name}.safetensors"]
    assert store.get(digest) == DATA
    assert HeadStore(tmp_path / "data").get(digest) == DATA
    assert store.put(DATA) == digest
    assert len(files(tmp_path)) == 1


def test_a_file_has_its_name_only_when_it_is_complete(
    store: HeadStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def crash(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        if synced[-1].endswith(".tmp"):
            raise OSError("no space left on device")
        real(descriptor)

    monkeypatch.setattr(module.os, "fsync", crash)
    with pytest.raises(OSError, match="no space"):
        store.put(DATA)
    assert files(tmp_path) == []
    monkeypatch.undo()
    assert store.get(store.put(DATA)) == DATA


def test_file_and_folders_are_synced(store: HeadStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    monkeypatch.setattr(module.os, "fsync", note)
    name = store.put(DATA).removeprefix("sha256:")
    assert [synced[0], synced[2]] == ["heads", name[:2]]
    assert synced[1].endswith(".tmp")


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"!", b"x" * len(DATA)])
def test_a_damaged_file_is_never_handed_out(store: HeadStore, tmp_path: Path, damage: bytes) -> None:
    digest = store.put(DATA)
    (path,) = files(tmp_path)
    path.write_bytes(damage)
    with pytest.raises(CorruptHead, match=digest):
        store.get(digest)
    assert store.put(DATA) == digest  # and heals it
    assert store.get(digest) == DATA


def test_an_absent_file_is_told(store: HeadStore) -> None:
    digest = digest_of(DATA)
    with pytest.raises(CorruptHead, match="gone"):
        store.get(digest)
    store.delete(digest)
    store.put(DATA)
    store.delete(digest)
    with pytest.raises(CorruptHead, match="gone"):
        store.get(digest)


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "sha256:../../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "a" * 64, "sha256:" + "a" * 65],
)
def test_only_digests_name_files(store: HeadStore, digest: str) -> None:
    for use in (store.get, store.delete, store.get_evidence):
        with pytest.raises(InvalidArgument):
            use(digest)
    with pytest.raises(InvalidArgument):
        store.put_evidence(digest, b"")


def test_evidence_lies_beside_the_head(store: HeadStore, tmp_path: Path) -> None:
    digest = store.put(DATA)
    assert store.get_evidence(digest) is None
    store.put_evidence(digest, b"first")
    store.put_evidence(digest, b"second")
    assert store.get_evidence(digest) == b"second"
    assert store.get(digest) == DATA
    store.delete(digest)
    assert files(tmp_path) == []


def test_sweeping_takes_only_old_orphans(store: HeadStore, tmp_path: Path) -> None:
    kept, orphan, young = store.put(b"kept"), store.put(b"orphan"), store.put(b"young")
    for digest in (kept, orphan):
        store.put_evidence(digest, b"evidence")
    left = next(path for path in files(tmp_path) if kept[7:] in path.name).parent / f".{kept[7:]}.safetensors.0.tmp"
    left.write_bytes(b"half")
    for path in files(tmp_path):
        if young[7:] not in path.name:
            age(path)
    assert store.sweep({kept}, 500) == 3
    assert store.get(kept) == b"kept"
    assert store.get_evidence(kept) == b"evidence"
    assert store.get(young) == b"young"
    assert not left.exists()
    with pytest.raises(CorruptHead):
        store.get(orphan)
    assert store.sweep({kept}, 500) == 0


def test_putting_an_orphan_again_saves_it(store: HeadStore, tmp_path: Path) -> None:
    digest = store.put(DATA)
    age(files(tmp_path)[0])
    store.put(DATA)
    assert store.sweep(set(), 500) == 0
    assert store.get(digest) == DATA


def test_putting_and_sweeping_at_once_loses_nothing(store: HeadStore, tmp_path: Path) -> None:
    digest = store.put(DATA)
    path = files(tmp_path)[0]
    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            store.sweep(set(), 500)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for _ in range(200):
            store.put(DATA)
            assert store.get(digest) == DATA
            age(path)
    except FileNotFoundError:
        pass  # swept after it was made old again, which is right
    finally:
        stop.set()
        sweeper.join()
