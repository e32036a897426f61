"""Prepared rows come back from disk as they were, and a file that is not sound is no file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from candelabra.adapt import prepared
from candelabra.adapt.certificate import Audit, Certificate
from candelabra.adapt.online import Online, Space
from candelabra.types import Slot, TaskKind

SPACE = Space("backbone", (Slot(1, "mean"), Slot(2, "mean")), 6, TaskKind.SINGLE_LABEL, ("a", "b"))


def filled(n: int = 60) -> Online:
    random = np.random.default_rng(0)
    made = Online(SPACE)
    targets = np.arange(n) % 2
    features = random.normal(size=(n, 2, 6)) + targets[:, None, None]
    made.append(np.arange(1, n + 1).astype(np.uint64), features.astype(np.float32), targets)
    made.refit()
    return made


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    made = filled()
    prepared.save(made, tmp_path)
    found = prepared.load(tmp_path, SPACE)
    assert found is not None
    assert found.statistics.digest == made.statistics.digest
    assert found.parts == made.parts
    np.testing.assert_array_equal(found.rows, made.rows)
    one, other = found.refit(), made.refit()
    np.testing.assert_array_equal(one.fitted.logits, other.fitted.logits)
    found.forget([3, 4])
    made.forget([3, 4])
    assert found.statistics.digest == made.statistics.digest
    assert found.audit().exact


def test_rows_that_were_forgotten_are_not_in_the_next_file(tmp_path: Path) -> None:
    made = filled()
    row = made.rows[made.digests == 7][0].tobytes()
    path = prepared.save(made, tmp_path)
    assert row in path.read_bytes()
    made.forget([7])
    assert prepared.save(made, tmp_path) == path
    assert row not in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "other", [{"backbone": "new"}, {"labels": ("a", "c")}, {"soft": True}, {"kind": TaskKind.MULTI_LABEL}]
)
def test_another_space_has_another_file(tmp_path: Path, other: dict[str, object]) -> None:
    prepared.save(filled(), tmp_path)
    assert prepared.load(tmp_path, replace(SPACE, **other)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("harm", ["torn", "first", "last", "empty", "other", "gone"])
def test_a_file_that_is_not_sound_is_no_file(tmp_path: Path, harm: str) -> None:
    path = prepared.save(filled(), tmp_path)
    content = bytearray(path.read_bytes())
    if harm == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif harm in ("first", "last"):
        # The tensors begin behind the header, whose length is in the first 8 bytes.
        content[int.from_bytes(content[:8], "little") + 8 + 40 if harm == "first" else -9] ^= 1
        path.write_bytes(content)
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "other":
        prepared.save(filled(), tmp_path)
        path.rename(prepared.path_of(tmp_path, replace(SPACE, backbone="x")))
        assert prepared.load(tmp_path, replace(SPACE, backbone="x")) is None
    else:
        path.unlink()
    assert prepared.load(tmp_path, SPACE) is None


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = prepared.save(filled(), tmp_path)
    before = path.read_bytes()

    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(prepared, "save_file", fails)
    with pytest.raises(OSError, match="space"):
        prepared.save(filled(20), tmp_path)
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_bytes() == before


def test_dropping_a_dataset_leaves_nothing(tmp_path: Path) -> None:
    prepared.save(filled(), tmp_path)
    prepared.drop(tmp_path)
    assert not list(tmp_path.iterdir())
    prepared.drop(tmp_path / "never was")


def test_a_forgetting_is_certified() -> None:
    made = filled()
    before = made.statistics.digest
    refit, proof = prepared.forget(made, [3, 4, 400])
    assert (proof.rows_before, proof.rows_after, proof.asked) == (60, 58, 3)
    assert proof.digest_before == before != proof.digest_after == proof.digest_scratch
    assert proof.exact
    assert proof.residual == 0.0
    assert len(refit.fitted.rows) == 58
    told = json.loads(json.dumps(proof.as_json()))
    assert told["recomputed"] == list(prepared.RECOMPUTED)
    assert told["backbone"] == "backbone"


@pytest.mark.parametrize(
    "audit", [Audit("kept", "scratch", 0.0), Audit("kept", "kept", 1e-9), Audit("other", "other", 0.0)]
)
def test_what_does_not_agree_is_not_exact(audit: Audit) -> None:
    assert not Certificate.of("b", (2, "before"), (1, "kept"), 1, audit, ()).exact
