"""What a training process is handed comes out as it went in, and none of it is pickle."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from candelabra.adapt import assignment
from candelabra.adapt.encode import open_states
from candelabra.adapt.evidence import Evidence, evidence_from_bytes, evidence_to_bytes
from candelabra.adapt.material import Material
from candelabra.adapt.training import Candidate, TrainSpec
from candelabra.engine.tokenizer import Tokens
from candelabra.engine.window import Window
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.head import Head
from candelabra.plugin import GateRules
from candelabra.types import LongText, Method, Reading, Slot, Span, TaskKind

SLOTS = (Slot(1, "mean"), Slot(2, "cls"))
TOKENS = Tokens((Window(np.array([1, 7, 2], np.int32)),), False, 3)
SPEC = TrainSpec(
    task_kind=TaskKind.MULTI_LABEL,
    method=Method.DENSE,
    metric="f1[ä]",
    backbone="tiny:1",
    domain="legal",
    task="clauses",
    long_text=LongText.WINDOWS,
    reading=Reading.JOINT,
    recall_floor=0.9,
    ordered=True,
    abstain_below=0.4,
    abstain_outside=True,
    gate=GateRules(margin=0.01, coverage=0.8),
    budget_seconds=5.0,
    backbone_path="some/folder",
    options={"hidden": 16, "layers": [1, 2], "learning_rate": 0.01},
    seed=2**64 - 1,
    force=True,
    lineage={"dataset": "acme/rows", "rows": 3},
)


def material(multi: bool) -> Material:
    targets = np.array([[1, 0], [0, 0], [1, 1]], np.uint8) if multi else np.array([0, 1, 1])
    rows = np.array([1, 2**63, 2**64 - 1], np.uint64)
    return Material(
        texts=["ä 😀", 'a "quote"\n', "z"],
        labels=("ä", "b"),
        targets=targets,
        rows=rows,
        label_counts={"ä": 2, "b": 1},
        dropped={},
        places=np.arange(3),
        pairs=["one", "two", "three"],
        questions=["who?", "", "why?"],
        spans=[(Span(0, 1, "ä"),), (), (Span(2, 3, "b"), Span(4, 5, ""))],
        weights=np.array([[0.5, 0.5], [1, 0], [0, 1]], np.float32),
    )


def head() -> Head:
    random = np.random.default_rng(0)
    weight, bias = random.normal(size=(32, 2)).astype(np.float32), np.zeros(2, np.float32)
    return Head(
        body=Dense(SLOTS, ((weight, bias),)),
        labels=("ä", "b"),
        task_kind=TaskKind.SINGLE_LABEL,
        backbone="tiny:1",
        domain="legal",
        task="clauses",
        method=Method.CLOSED_FORM,
    )


def evidence() -> Evidence:
    rows = np.array([3, 4], np.uint64)
    return Evidence(("ä", "b"), rows, np.array([0, 1], np.int32), np.array([3, 4, 5], np.uint64))


def fill(folder: Path, part: str, multi: bool) -> np.ndarray:
    values = np.random.default_rng(len(part)).normal(size=(3, 2, 16)).astype(np.float32)
    opened = assignment.open_features(folder, part, 3, 2, 16)
    opened[:] = values
    opened.flush()
    for which in (assignment.FIRST, assignment.SECOND, assignment.UNLABELLED, assignment.LABELS):
        assignment.open_features(folder, part, 2, 2, 16, which)[:] = len(which)
    states = open_states(folder / part / assignment.STATES, [TOKENS] * 3, (0, 2), 16)
    states.values[:] = 0.5
    assignment.save_part(folder, part, material(multi), SLOTS)
    return values


@pytest.mark.parametrize("multi", [False, True])
def test_everything_comes_back(tmp_path: Path, multi: bool) -> None:
    values = {part: fill(tmp_path, part, multi) for part in (assignment.TRAIN, assignment.VALIDATION)}
    assignment.save_spec(tmp_path, SPEC)
    assignment.save_incumbent(tmp_path, head().to_bytes(), evidence_to_bytes(evidence()))
    found = assignment.load(tmp_path)
    assert found.spec == SPEC
    for one in fields(TrainSpec):
        assert type(getattr(found.spec, one.name)) is type(getattr(SPEC, one.name)), one.name
    for part, data in ((assignment.TRAIN, found.data), (assignment.VALIDATION, found.validation)):
        assert data is not None
        wanted = material(multi)
        assert (list(data.texts), data.labels, data.slots) == (wanted.texts, wanted.labels, SLOTS)
        for name in ("targets", "rows"):
            assert np.array_equal(getattr(data, name), getattr(wanted, name))
            assert getattr(data, name).dtype == getattr(wanted, name).dtype
        assert (list(data.pairs), list(data.questions)) == (wanted.pairs, wanted.questions)
        assert list(data.spans) == list(wanted.spans)
        assert np.array_equal(data.weights, wanted.weights)
        for which in (assignment.FIRST, assignment.SECOND, assignment.UNLABELLED, assignment.LABELS):
            assert getattr(data, which).shape == (2, 2, 16)
            assert (getattr(data, which) == len(which)).all()
        assert data.states is not None
        assert (data.states.layers, data.states.values.shape) == ((0, 2), (9, 2, 16))
        assert (data.states.values == 0.5).all()
        assert data.states.ids.tolist() == [1, 7, 2] * 3
        assert np.array_equal(data.features, values[part])
        assert data.features.dtype == np.float32
    assert found.incumbent is not None
    assert found.incumbent.evidence is not None
    assert found.incumbent.head.to_bytes() == head().to_bytes()
    assert np.array_equal(found.incumbent.evidence.rows, evidence().rows)


def test_what_was_not_given_is_none(tmp_path: Path) -> None:
    fill(tmp_path, assignment.TRAIN, multi=False)
    assignment.save_spec(tmp_path, SPEC)
    found = assignment.load(tmp_path)
    assert found.validation is None
    assert found.incumbent is None
    assignment.save_incumbent(tmp_path, head().to_bytes(), None)
    incumbent = assignment.load(tmp_path).incumbent
    assert incumbent is not None
    assert incumbent.evidence is None


def test_the_outcome_comes_back(tmp_path: Path) -> None:
    report: dict[str, object] = {"evaluation": "leave-one-out", "seconds": {"train": 0.5}}
    assignment.save_candidate(tmp_path, Candidate(head(), report, evidence()))
    found = assignment.load_outcome(tmp_path)
    assert found.report == report
    assert found.head == head().to_bytes()
    assert np.array_equal(evidence_from_bytes(found.evidence).trained, evidence().trained)


def test_a_pickle_in_the_folder_is_not_read(tmp_path: Path) -> None:
    fill(tmp_path, assignment.TRAIN, multi=False)
    assignment.save_spec(tmp_path, SPEC)
    objects = np.array([print, len, repr], dtype=object)
    np.save(tmp_path / assignment.TRAIN / "rows.npy", objects, allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        assignment.load(tmp_path)


def test_no_file_is_a_pickle(tmp_path: Path) -> None:
    fill(tmp_path, assignment.TRAIN, multi=True)
    assignment.save_spec(tmp_path, SPEC)
    assignment.save_incumbent(tmp_path, head().to_bytes(), evidence_to_bytes(evidence()))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".npy", ".json", ".safetensors"}
    for path in files:
        if path.suffix == ".npy":
            assert not np.load(path, allow_pickle=False).dtype.hasobject


def test_what_earlier_trainings_left_comes_along(tmp_path: Path) -> None:
    fill(tmp_path, assignment.TRAIN, multi=False)
    assignment.save_spec(tmp_path, SPEC)
    assert assignment.load(tmp_path).data.kept is None
    (tmp_path / assignment.KEPT).mkdir()
    found = assignment.load(tmp_path).data
    assert found.kept is not None
    assert found.kept.rows == len(found.rows)
