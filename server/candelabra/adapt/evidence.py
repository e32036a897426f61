"""What a version decided on rows it had not seen, kept beside it so that its successor meets the same rows."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from candelabra.errors import CorruptHead
from candelabra.types import Slot

if TYPE_CHECKING:
    from candelabra.adapt.training import TrainingSet

KEY = "candelabra"
ANCHOR = "anchors."
ANCHOR_ROWS = 500


@dataclass(frozen=True, eq=False)
class Anchors:
    """Some rows of a version's own data, whole, so that any successor can be scored on them whatever it learned from.

    `texts` (and `pairs` where the task has them) with `features` float16 [m, slots, dimension]; `truth` as
    TrainingSet.targets; `outputs` float16 [m, outputs]: the version's probabilities (or numbers) for each row by a
    model that had not seen it. About 1 kB a slot and row.
    """

    texts: tuple[str, ...]
    pairs: tuple[str, ...]
    slots: tuple[Slot, ...]
    features: np.ndarray
    truth: np.ndarray
    outputs: np.ndarray

    @classmethod
    def sample(cls, data: TrainingSet, rows: np.ndarray, outputs: np.ndarray, seed: int) -> Anchors:
        """ANCHOR_ROWS of the scored `rows` of a set, evenly over them; `outputs` [len(rows), …] are theirs."""
        picked = np.arange(len(rows))
        if len(picked) > ANCHOR_ROWS:
            picked = np.sort(np.random.default_rng(seed).choice(len(picked), ANCHOR_ROWS, replace=False))
        at = rows[picked]
        return cls(
            tuple(data.texts[row] for row in at),
            tuple(data.pairs[row] for row in at) if data.pairs else (),
            data.slots,
            np.asarray(data.features[at], np.float16),
            np.asarray(data.targets[at]),
            outputs[picked],
        )


@dataclass(frozen=True, eq=False)
class Evidence:
    """`decisions` are label indices int32 [m], 0/1 rows uint8 [m, labels] for multi-label tasks, numbers float64 [m]
    for regression, or counts int64 [m, k] for spans, of the rows with digests `rows`.

    `trained` has the digests of all rows that the head was trained on: on those only stored decisions are fair.
    `error` is the head's calibration error on those rows, -1 where it was not measured.
    """

    labels: tuple[str, ...]
    rows: np.ndarray
    decisions: np.ndarray
    trained: np.ndarray
    error: float = -1.0
    right: float = -1.0
    """Share of the unseen rows that it decided on as they are labelled; -1 where that is not a share."""
    anchors: Anchors | None = None

    def find(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each digest whether there is a decision, and at which place."""
        if len(self.rows) == 0:
            return np.zeros(len(digests), bool), np.zeros(len(digests), np.int64)
        order = np.argsort(self.rows, kind="stable")
        place = np.minimum(np.searchsorted(self.rows, digests, sorter=order), len(order) - 1)
        at = order[place]
        return self.rows[at] == digests, at


def text_digests(texts: Iterable[str], pairs: Sequence[str] = ()) -> np.ndarray:
    """uint64 [n]: the same for texts that differ in case, spaces and punctuation only."""
    plain = ("".join(filter(str.isalnum, text.casefold())) or text for text in texts)
    if pairs:
        second = ("".join(filter(str.isalnum, text.casefold())) or text for text in pairs)
        plain = (f"{one}\0{other}" for one, other in zip(plain, second, strict=True))
    return np.array([_digest(text) for text in plain], dtype=np.uint64)


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def evidence_to_bytes(evidence: Evidence) -> bytes:
    """One safetensors file."""
    tensors = {"rows": evidence.rows, "decisions": evidence.decisions, "trained": evidence.trained}
    about: dict[str, object] = {
        "labels": list(evidence.labels),
        "error": float(evidence.error),
        "right": float(evidence.right),
        "anchors": None,
    }
    anchors = evidence.anchors
    if anchors is not None:
        tensors.update({ANCHOR + name: getattr(anchors, name) for name in ("features", "truth", "outputs")})
        about["anchors"] = {
            "texts": list(anchors.texts),
            "pairs": list(anchors.pairs),
            "slots": [[slot.layer, slot.pooling] for slot in anchors.slots],
        }
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    return save(tensors, metadata={KEY: json.dumps(about, ensure_ascii=False)})


def evidence_from_bytes(data: bytes) -> Evidence:
    """Raises CorruptHead for anything but a file made by `evidence_to_bytes`."""
    try:
        tensors = load(data)
        (length,) = struct.unpack("<Q", data[:8])
        about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][KEY])
        evidence = Evidence(
            tuple(about["labels"]),
            tensors["rows"],
            tensors["decisions"],
            tensors["trained"],
            float(about.get("error", -1.0)),
            float(about.get("right", -1.0)),
            _anchors(about.get("anchors"), tensors),
        )
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise CorruptHead("The evidence file of the version is damaged.") from error
    sound = (
        evidence.rows.dtype == np.uint64
        and evidence.trained.dtype == np.uint64
        and len(evidence.rows) == len(evidence.decisions)
        and _sound_decisions(evidence.decisions, len(evidence.labels))
        and (evidence.anchors is None or _sound_anchors(evidence.anchors))
    )
    if not sound:
        raise CorruptHead("The evidence file of the version does not hold what it should.")
    return evidence


def _anchors(about: Mapping[str, Any] | None, tensors: Mapping[str, np.ndarray]) -> Anchors | None:
    if about is None:
        return None
    return Anchors(
        tuple(map(str, about["texts"])),
        tuple(map(str, about["pairs"])),
        tuple(Slot(layer, pooling) for layer, pooling in about["slots"]),
        *(tensors[ANCHOR + name] for name in ("features", "truth", "outputs")),
    )


def _sound_decisions(decisions: np.ndarray, labels: int) -> bool:
    one = decisions.ndim == 1 and decisions.dtype in (np.int32, np.float64)
    several = decisions.ndim == 2 and decisions.dtype == np.uint8 and decisions.shape[1] == labels
    return bool(one or several or (decisions.ndim == 2 and decisions.dtype == np.int64))


def _sound_anchors(anchors: Anchors) -> bool:
    rows = len(anchors.texts)
    return (
        anchors.features.ndim == 3
        and anchors.features.dtype == np.float16
        and anchors.features.shape[:2] == (rows, len(anchors.slots))
        and anchors.outputs.ndim == 2
        and len(anchors.truth) == len(anchors.outputs) == rows
        and len(anchors.pairs) in (0, rows)
        and all(bool(np.isfinite(part).all()) for part in (anchors.features, anchors.truth, anchors.outputs))
    )
