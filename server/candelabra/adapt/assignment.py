"""What a training process is handed and hands back: a folder of arrays and JSON, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from candelabra.adapt.encode import load_states
from candelabra.adapt.evidence import evidence_from_bytes, evidence_to_bytes
from candelabra.adapt.material import Material
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.heads.head import Head
from candelabra.plugin import GateRules
from candelabra.types import LongText, Method, Reading, Slot, Span, TaskKind

TRAIN, VALIDATION = "train", "validation"
FEATURES, FIRST, SECOND, UNLABELLED, LABELS = ARRAYS = (
    "features",
    "first",
    "second",
    "unlabelled",
    "label_features",
)
STATES = "states"
KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that `trainer.train` takes."""

    data: TrainingSet
    validation: TrainingSet | None
    spec: TrainSpec
    incumbent: Incumbent | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a training gave: the head's file, the evidence's file, and the report."""

    head: bytes
    evidence: bytes
    report: Mapping[str, object]


def open_features(folder: Path, part: str, rows: int, slots: int, dimension: int, which: str = FEATURES) -> np.memmap:
    """A float32 array [rows, slots, dimension] on disk, to be filled. `which`: one of ARRAYS."""
    (folder / part).mkdir(parents=True, exist_ok=True)
    opened: np.memmap = np.lib.format.open_memmap(
        folder / part / f"{which}.npy", mode="w+", dtype=np.float32, shape=(rows, slots, dimension)
    )
    return opened


def save_part(folder: Path, part: str, material: Material, slots: Sequence[Slot]) -> None:
    """Everything of a training set but what was encoded."""
    place = folder / part
    arrays = {"targets": material.targets, "rows": material.rows, "weights": material.weights}
    for name, array in arrays.items():
        if array is not None:
            np.save(place / f"{name}.npy", array, allow_pickle=False)
    about = {
        "texts": list(material.texts),
        "labels": list(material.labels),
        "slots": [[slot.layer, slot.pooling] for slot in slots],
        "pairs": list(material.pairs),
        "questions": list(material.questions),
        "spans": [[[span.start, span.end, span.label] for span in row] for row in material.spans],
    }
    (place / "about.json").write_text(json.dumps(about), encoding="utf-8")


def save_spec(folder: Path, spec: TrainSpec) -> None:
    (folder / "spec.json").write_text(json.dumps(asdict(spec)), encoding="utf-8")


def save_incumbent(folder: Path, head: bytes, evidence: bytes | None) -> None:
    place = folder / "incumbent"
    place.mkdir(parents=True, exist_ok=True)
    (place / "head.safetensors").write_bytes(head)
    if evidence is not None:
        (place / "evidence.safetensors").write_bytes(evidence)


def load(folder: Path) -> Assignment:
    data = _load_part(folder / TRAIN)
    validation = _load_part(folder / VALIDATION) if (folder / VALIDATION).exists() else None
    spec = json.loads((folder / "spec.json").read_text("utf-8"))
    spec.update(
        task_kind=TaskKind(spec["task_kind"]),
        method=Method(spec["method"]),
        long_text=LongText(spec["long_text"]),
        reading=Reading(spec["reading"]),
        gate=GateRules(**spec["gate"]),
    )
    if (folder / KEPT).exists():
        from candelabra.adapt.kept import Kept  # the server imports this module, and it does not train

        data = replace(data, kept=Kept.load(folder / KEPT, len(data.rows)))
    return Assignment(data, validation, TrainSpec(**spec), _load_incumbent(folder / "incumbent"))


def save_candidate(folder: Path, candidate: Candidate) -> None:
    (folder / "head.safetensors").write_bytes(candidate.head.to_bytes())
    (folder / "evidence.safetensors").write_bytes(evidence_to_bytes(candidate.evidence))
    (folder / "report.json").write_text(json.dumps(candidate.report), encoding="utf-8")


def load_outcome(folder: Path) -> Outcome:
    return Outcome(
        (folder / "head.safetensors").read_bytes(),
        (folder / "evidence.safetensors").read_bytes(),
        json.loads((folder / "report.json").read_text("utf-8")),
    )


def _load_part(place: Path) -> TrainingSet:
    about = json.loads((place / "about.json").read_text("utf-8"))
    features = _array(place, FEATURES)
    if features is None:
        raise FileNotFoundError(f"{place} has no {FEATURES}.npy")
    return TrainingSet(
        texts=about["texts"],
        features=features,
        slots=tuple(Slot(layer, pooling) for layer, pooling in about["slots"]),
        labels=tuple(about["labels"]),
        targets=np.load(place / "targets.npy", allow_pickle=False),
        rows=np.load(place / "rows.npy", allow_pickle=False),
        pairs=about["pairs"],
        questions=about["questions"],
        spans=[tuple(Span(*span) for span in row) for row in about["spans"]],
        first=_array(place, FIRST),
        second=_array(place, SECOND),
        unlabelled=_array(place, UNLABELLED),
        label_features=_array(place, LABELS),
        weights=_array(place, "weights"),
        states=load_states(place / STATES) if (place / STATES).exists() else None,
    )


def _array(place: Path, name: str) -> np.ndarray | None:
    """Mapped, not read: features of many rows are larger than what one step of a training looks at."""
    path = place / f"{name}.npy"
    return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None


def _load_incumbent(place: Path) -> Incumbent | None:
    if not place.exists():
        return None
    evidence = place / "evidence.safetensors"
    return Incumbent(
        head=Head.from_bytes((place / "head.safetensors").read_bytes()),
        evidence=evidence_from_bytes(evidence.read_bytes()) if evidence.exists() else None,
    )
