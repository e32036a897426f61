"""What a training leaves changes no head: sums and the words' answers are those of the rows, or are made anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from candelabra.adapt import baselines, kept
from candelabra.adapt.kept import SUMS, WORDS, Kept
from candelabra.adapt.statistics import Statistics, fixed
from candelabra.adapt.trainer import Candidate, TrainingSet, TrainSpec, train
from candelabra.types import Method, Slot, TaskKind

SLOTS = (Slot(0, "mean"), Slot(1, "mean"), Slot(2, "mean"), Slot(2, "cls"))
DIM, LABELS = 12, 3
WORDS_OF = ("ledger", "harbour", "violin", "granite", "meadow", "copper", "lantern", "orchard")
KINDS = ("single", "multi", "soft", "number")


def rows(kind: str = "single", n: int = 120) -> TrainingSet:
    random = np.random.default_rng(0)
    own = np.arange(n) % LABELS
    centres = np.random.default_rng(9).normal(size=(LABELS, len(SLOTS), DIM))
    features = centres[own] + 0.6 * random.normal(size=(n, len(SLOTS), DIM))
    targets = {
        "multi": (np.eye(LABELS, dtype=bool)[own] | (random.random((n, LABELS)) < 0.2)).astype(np.uint8),
        "number": own * 7.0 + random.normal(size=n),
    }.get(kind, own)
    return TrainingSet(
        texts=[" ".join(random.choice(WORDS_OF, 5)) for _ in range(n)],
        features=features.astype(np.float32),
        slots=SLOTS,
        labels=("value",) if kind == "number" else tuple("abc"),
        targets=targets,
        rows=np.arange(n, dtype=np.uint64),
        weights=random.dirichlet(np.ones(LABELS) / 4, size=n).astype(np.float32) if kind == "soft" else None,
    )


def some(data: TrainingSet, at: np.ndarray | slice) -> TrainingSet:
    picked = np.arange(len(data.rows))[at]
    return replace(
        data,
        texts=[data.texts[row] for row in picked],
        features=data.features[picked],
        targets=data.targets[picked],
        rows=data.rows[picked],
        weights=None if data.weights is None else data.weights[picked],
    )


def trained(data: TrainingSet, folder: Path | None = None) -> Candidate:
    """In the way of the training process: with what lies in the folder, and leaving there what is new."""
    kinds = {"value": TaskKind.REGRESSION}
    multi = data.targets.ndim == 2
    kind = kinds.get(data.labels[0], TaskKind.MULTI_LABEL if multi else TaskKind.SINGLE_LABEL)
    spec = TrainSpec(
        task_kind=kind,
        method=Method.CLOSED_FORM,
        metric={TaskKind.REGRESSION: "spearman", TaskKind.MULTI_LABEL: "micro_f1"}.get(kind, "accuracy"),
        backbone="fingerprint",
        domain="general",
        task="classification",
    )
    if folder is None:
        return train(data, None, spec)
    left = Kept.load(folder, len(data.rows))
    made = train(replace(data, kept=left), None, spec)
    left.save(folder)
    return made


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows went into sums each time."""
    counts: list[int] = []
    add = Statistics.add

    def counted(self: Statistics, features: np.ndarray, truth: np.ndarray) -> None:
        counts.append(len(features))
        add(self, features, truth)

    monkeypatch.setattr(Statistics, "add", counted)
    return counts


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows words were learned from each time."""
    counts: list[int] = []
    tfidf = baselines.tfidf

    def counted(texts: list[str], *rest: object) -> baselines.Baseline:
        counts.append(len(texts))
        return tfidf(texts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(kept.baselines, "tfidf", counted)
    return counts


def same(one: Candidate, other: Candidate) -> bool:
    return one.head.to_bytes() == other.head.to_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_grown_dataset_gives_the_head_of_all_its_rows_bit_for_bit(
    tmp_path: Path, summed: list[int], kind: str
) -> None:
    data = rows(kind)
    for end in (70, 110, 120, 120):
        trained(some(data, slice(end)), tmp_path)
    # Of numbers the grid follows the largest of them, and rows that raise it are summed anew.
    assert summed == [70, 40, 10] if kind != "number" else sum(summed) <= 300
    again, fresh = trained(data, tmp_path), trained(data)
    assert same(again, fresh)
    if len(summed) > 3:
        assert summed[-1] == 120


def relabelled(data: TrainingSet) -> TrainingSet:
    return replace(data, targets=np.where(np.arange(120) == 5, 2 - data.targets, data.targets))


def other_features(data: TrainingSet) -> TrainingSet:
    features = data.features.copy()
    features[5, 2, 0] += 0.5
    return replace(data, features=features)


@pytest.mark.parametrize(
    "change",
    [
        relabelled,
        other_features,
        lambda data: some(data, np.arange(120) != 5),
        lambda data: some(data, slice(1, None)),
        lambda data: some(data, slice(119)),
        lambda data: some(data, np.arange(119, -1, -1)),
    ],
    ids=["relabelled", "read otherwise", "forgotten", "first gone", "last gone", "in another order"],
)
def test_rows_that_are_not_the_same_are_summed_anew(
    tmp_path: Path, summed: list[int], change: Callable[[TrainingSet], TrainingSet]
) -> None:
    trained(rows(), tmp_path)
    changed = change(rows())
    made = trained(changed, tmp_path)
    assert summed == [120, len(changed.rows)]
    assert same(made, trained(changed))
    trained(changed, tmp_path)
    assert summed == [120, len(changed.rows), len(changed.rows)]  # the last but one was without a folder


def test_parts_of_the_rows_and_guessed_ones_behind_them_are_summed_and_not_kept(
    tmp_path: Path, summed: list[int]
) -> None:
    data = rows()
    features, truth = fixed(data.features[:, 0] / 9), np.eye(LABELS)[data.targets]
    left = Kept(110)
    wanted = left.statistics(features[:110], truth[:110]).digest
    left.statistics(features[:50], truth[:50])
    left.statistics(features, truth)
    left.save(tmp_path)
    assert summed == [110, 50, 10]
    for known in (left, Kept.load(tmp_path, 110)):
        assert known.statistics(features[:110], truth[:110]).digest == wanted
    assert summed == [110, 50, 10]


def test_nothing_of_a_row_is_in_the_files(tmp_path: Path) -> None:
    data = rows()
    trained(data, tmp_path)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(text.encode() in content for text in data.texts)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 30_000


@pytest.mark.parametrize("harm", ["torn", "header", "first", "last", "empty", "swapped", "gone"])
@pytest.mark.parametrize("name", [SUMS, WORDS])
def test_a_file_that_is_not_sound_is_no_file(tmp_path: Path, summed: list[int], name: str, harm: str) -> None:
    fresh = trained(rows(), tmp_path)
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    # The tensors begin behind the header, whose length is in the first 8 bytes.
    place = {"header": 12, "first": int.from_bytes(content[:8], "little") + 8, "last": -9}
    if harm in place:
        content[place[harm]] ^= 1
    cut = {"torn": len(content) // 2, "empty": 0}.get(harm, len(content))
    path.write_bytes(content[:cut])
    if harm == "swapped":
        path.write_bytes((tmp_path / (WORDS if name == SUMS else SUMS)).read_bytes())
    elif harm == "gone":
        path.unlink()
    made = trained(rows(), tmp_path)
    assert same(made, fresh)
    assert summed == ([120, 120] if name == SUMS else [120])
    trained(rows(), tmp_path)
    assert len(summed) == (2 if name == SUMS else 1)


def test_a_disk_that_is_full_costs_no_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(some(rows(), slice(60)), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(kept, "save_file", fails)
    assert same(trained(rows(), tmp_path), trained(rows()))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def against_words(candidate: Candidate) -> str:
    gate = candidate.report["gate"]
    assert isinstance(gate, dict)
    return next(str(one["detail"]) for one in gate["checks"] if one["name"].startswith("tfidf"))


@pytest.mark.parametrize("kind", KINDS)
def test_words_that_have_answered_are_not_asked_again(tmp_path: Path, asked: list[int], kind: str) -> None:
    fresh = trained(rows(kind), tmp_path)
    again = trained(rows(kind), tmp_path)
    assert asked == [120]
    assert again.report["baselines"] == fresh.report["baselines"]
    assert again.report["gate"] == fresh.report["gate"]


def test_rows_that_came_since_are_not_compared_with_words_until_they_are_a_tenth(
    tmp_path: Path, asked: list[int]
) -> None:
    trained(some(rows(), slice(108)), tmp_path)
    grown = against_words(trained(rows(), tmp_path))
    assert asked == [108]
    assert grown.endswith("on 108 rows; words as learned from the first 108 of 120 rows.")
    trained(some(rows(), slice(107)), tmp_path)
    assert against_words(trained(rows(), tmp_path)).endswith("on 120 rows.")
    assert asked == [108, 107, 120]


@pytest.mark.parametrize(
    "change",
    [
        relabelled,
        lambda data: replace(data, texts=[*data.texts[:5], "another text", *data.texts[6:]]),
        lambda data: replace(data, texts=[f"{data.texts[0]}{data.texts[1][0]}", data.texts[1][1:], *data.texts[2:]]),
        lambda data: some(data, np.arange(120) != 5),
        lambda data: some(data, slice(119)),
        lambda data: replace(data, labels=tuple("abcd")),
    ],
    ids=["relabelled", "other text", "texts cut elsewhere", "forgotten", "last gone", "another label"],
)
def test_words_are_asked_anew_where_a_row_is_not_the_same(
    tmp_path: Path, asked: list[int], change: Callable[[TrainingSet], TrainingSet]
) -> None:
    trained(rows(), tmp_path)
    changed = change(rows())
    trained(changed, tmp_path)
    assert asked == [120, len(changed.rows)]
