"""What a version decided on rows it had not seen, kept beside it so that its successor meets the same rows."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from candelabra.errors import CorruptHead

KEY = "candelabra"


@dataclass(frozen=True, eq=False)
class Evidence:
    """`decisions` are label indices [m], or 0/1 rows [m, labels] for multi-label, of the rows with digests `rows`.

    `trained` has the digests of all rows that the head was trained on: on those only stored decisions are fair.
    """

    labels: tuple[str, ...]
    rows: np.ndarray
    decisions: np.ndarray
    trained: np.ndarray

    def find(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each digest whether there is a decision, and at which place."""
        if len(self.rows) == 0:
            return np.zeros(len(digests), bool), np.zeros(len(digests), np.int64)
        order = np.argsort(self.rows, kind="stable")
        place = np.minimum(np.searchsorted(self.rows, digests, sorter=order), len(order) - 1)
        at = order[place]
        return self.rows[at] == digests, at


def evidence_to_bytes(evidence: Evidence) -> bytes:
    """One safetensors file."""
    tensors = {"rows": evidence.rows, "decisions": evidence.decisions, "trained": evidence.trained}
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    return save(tensors, metadata={KEY: json.dumps({"labels": list(evidence.labels)}, ensure_ascii=False)})


def evidence_from_bytes(data: bytes) -> Evidence:
    """Raises CorruptHead for anything but a file made by `evidence_to_bytes`."""
    try:
        tensors = load(data)
        (length,) = struct.unpack("<Q", data[:8])
        labels = tuple(json.loads(json.loads(data[8 : 8 + length])["__metadata__"][KEY])["labels"])
        evidence = Evidence(labels, tensors["rows"], tensors["decisions"], tensors["trained"])
    except (SafetensorError, ValueError, KeyError, TypeError, struct.error) as error:
        raise CorruptHead("The evidence file of the version is damaged.") from error
    sound = (
        evidence.rows.dtype == np.uint64
        and evidence.trained.dtype == np.uint64
        and len(evidence.rows) == len(evidence.decisions)
        and (
            (evidence.decisions.ndim == 1 and evidence.decisions.dtype == np.int32)
            or (evidence.decisions.dtype == np.uint8 and evidence.decisions.shape[1:] == (len(labels),))
        )
    )
    if not sound:
        raise CorruptHead("The evidence file of the version does not hold what it should.")
    return evidence
