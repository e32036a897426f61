"""One head: an immutable trained body with labels, calibration and guards, and its one file."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from candelabra.engine.row import Inputs, Outputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies import kinds
from candelabra.heads.body import Body
from candelabra.heads.guards import Guards
from candelabra.types import LongText, Method, Reading, Slot, TaskKind

FORMAT = 3
READABLE = (1, 2, FORMAT)
MANIFEST = "candelabra"
HEADER_LIMIT = 16 * 1024**2
BODY, GUARDS = "body.", "guards."


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a body's outputs become what they mean.

    Single-label heads divide by `temperature`, and so do the spans of entities and answers; multi-label heads use
    `scale` and `bias` of each label. Regression bodies speak in the target's units already.
    """

    temperature: float = 1.0
    scale: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Head:
    """All that is needed to use a body. Safe to share between threads; never changed after it was made.

    `labels` are classes, entity types, or one name for what a number or an answer is. `thresholds` has one number a
    label for multi-label heads. `positive` is the label that wins as soon as its probability reaches `threshold`
    (recall first), or -1: the best label wins.
    """

    body: Body
    labels: tuple[str, ...]
    task_kind: TaskKind
    backbone: str
    domain: str
    task: str
    method: Method
    long_text: LongText = LongText.TRUNCATE
    reading: Reading = Reading.TEXT
    calibration: Calibration = Calibration()
    thresholds: tuple[float, ...] = ()
    positive: int = -1
    threshold: float = 0.5
    guards: Guards | None = None
    lineage: Mapping[str, object] = field(default_factory=dict)
    report: Mapping[str, object] = field(default_factory=dict)
    slots: tuple[Slot, ...] = field(init=False, repr=False)
    layers: tuple[int, ...] = field(init=False, repr=False)
    nbytes: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check(self)
        # Asked for with every row: the shelf counts bytes, and the engine reads slots and layers.
        tensors = [*self.body.tensors().values(), *(self.guards.tensors().values() if self.guards else ())]
        object.__setattr__(self, "nbytes", sum(tensor.nbytes for tensor in tensors))
        object.__setattr__(self, "slots", tuple(self.body.slots))
        object.__setattr__(self, "layers", tuple(self.body.layers))

    @property
    def kind(self) -> str:
        return self.body.kind

    def scores(self, inputs: Inputs) -> Outputs:
        """Calibrated probabilities [n, labels] of labels, numbers [n, 1] of regression; emissions of tokens as they
        are, for only their decoding makes probabilities of them. Rows do not touch each other."""
        return self.calibrated(self.body.logits(inputs))

    def calibrated(self, logits: Outputs) -> Outputs:
        """What `scores` makes of the body's outputs."""
        if self.task_kind is TaskKind.SINGLE_LABEL:
            return softmax(np.asarray(logits) / np.float32(self.calibration.temperature))
        if self.task_kind is TaskKind.MULTI_LABEL:
            z = np.asarray(logits)
            if self.calibration.scale:
                z = z * np.array(self.calibration.scale, z.dtype) + np.array(self.calibration.bias, z.dtype)
            return sigmoid(z)
        return logits

    def decide(self, probabilities: np.ndarray) -> list[int]:
        """The labels, by index, that probabilities [labels] of one text decide on; the most probable first."""
        if self.task_kind is TaskKind.MULTI_LABEL:
            chosen = [i for i, limit in enumerate(self.thresholds) if probabilities[i] >= limit]
            return sorted(chosen, key=lambda i: -float(probabilities[i]))
        if self.positive < 0:
            return [int(probabilities.argmax())]
        return [int(decide_single(probabilities[None, :], self.positive, self.threshold)[0])]

    def to_bytes(self) -> bytes:
        """One safetensors file; the same head always gives the same bytes."""
        tensors = {BODY + name: tensor for name, tensor in self.body.tensors().items()}
        if self.guards:
            tensors.update({GUARDS + name: tensor for name, tensor in self.guards.tensors().items()})
        return save(tensors, metadata={MANIFEST: _canonical(_manifest(self))})

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """The head in a file made by `to_bytes`; raises CorruptHead for anything else."""
        manifest = _read_manifest(data)
        try:
            tensors = load(data)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CorruptHead("The head's file is not a complete safetensors file: fetch or train it again.") from error
        return _from_manifest(manifest, tensors)


def softmax(z: np.ndarray) -> np.ndarray:
    z = z - np.maximum.reduce(z, axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= np.add.reduce(z, axis=1, keepdims=True)
    return z


def sigmoid(z: np.ndarray) -> np.ndarray:
    # tanh neither overflows nor loses small probabilities to a warning.
    probability: np.ndarray = 0.5 * (np.tanh(0.5 * z) + 1.0)
    return probability


def decide_single(probabilities: np.ndarray, positive: int, threshold: float) -> np.ndarray:
    """The label of each row; with `positive` >= 0 that label wins from `threshold` on and loses below it."""
    if positive < 0:
        best: np.ndarray = probabilities.argmax(axis=1)
        return best
    others = probabilities.copy()
    others[:, positive] = -1.0
    return np.where(probabilities[:, positive] >= threshold, positive, others.argmax(axis=1))


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _manifest(head: Head) -> dict[str, object]:
    return {
        "format": FORMAT,
        "kind": head.kind,
        "body": head.body.about(),
        "guards": head.guards.about() if head.guards else None,
        "labels": list(head.labels),
        "task_kind": head.task_kind.value,
        "backbone": head.backbone,
        "domain": head.domain,
        "task": head.task,
        "method": head.method.value,
        "long_text": head.long_text.value,
        "reading": head.reading.value,
        "temperature": head.calibration.temperature,
        "scale": list(head.calibration.scale),
        "bias": list(head.calibration.bias),
        "thresholds": list(head.thresholds),
        "positive": head.positive,
        "threshold": head.threshold,
        "lineage": dict(head.lineage),
        "report": dict(head.report),
    }


def _read_manifest(data: bytes) -> dict[str, Any]:
    """The manifest from the file's own header: the numpy reader of safetensors leaves metadata out."""
    if len(data) < 8:
        raise CorruptHead("The head's file is empty or cut off: fetch or train it again.")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(HEADER_LIMIT, len(data) - 8):
        raise CorruptHead("The head's file is cut off or not a safetensors file: fetch or train it again.")
    try:
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        if set(metadata) != {MANIFEST}:
            raise CorruptHead(f"The head's file must have exactly one metadata key, {MANIFEST!r}.")
        manifest = json.loads(metadata[MANIFEST])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptHead("The head's file has no readable manifest: it was not made by this server.") from error
    if not isinstance(manifest, dict):
        raise CorruptHead("The head's manifest is not a JSON object.")
    if manifest.get("format") not in READABLE:
        raise CorruptHead(f"The head's file has format {manifest.get('format')!r}; this server reads 1 to {FORMAT}.")
    return manifest


def _from_manifest(manifest: dict[str, Any], tensors: dict[str, np.ndarray]) -> Head:
    try:
        if manifest["format"] == 1:
            manifest, tensors = _lifted(manifest, tensors)
        elif manifest["format"] == 2:
            tensors = _stacked(tensors)
        strange = [name for name in tensors if not name.startswith((BODY, GUARDS))]
        if strange:
            raise CorruptHead(f"The head's file holds the tensor {strange[0]!r}, which belongs to no part of it.")
        guards = _part(tensors, GUARDS)
        if manifest["guards"] is None and guards:
            raise CorruptHead("The head's file holds tensors of guards that its manifest does not know.")
        return Head(
            body=kinds.made(manifest["kind"], manifest["body"], _part(tensors, BODY)),
            guards=None if manifest["guards"] is None else Guards.made(manifest["guards"], guards),
            labels=tuple(manifest["labels"]),
            task_kind=TaskKind(manifest["task_kind"]),
            backbone=manifest["backbone"],
            domain=manifest["domain"],
            task=manifest["task"],
            method=Method(manifest["method"]),
            long_text=LongText(manifest["long_text"]),
            reading=Reading(manifest["reading"]),
            calibration=Calibration(
                float(manifest["temperature"]),
                tuple(float(value) for value in manifest["scale"]),
                tuple(float(value) for value in manifest["bias"]),
            ),
            thresholds=tuple(float(value) for value in manifest["thresholds"]),
            positive=manifest["positive"],
            threshold=float(manifest["threshold"]),
            lineage=dict(manifest["lineage"]),
            report=dict(manifest["report"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise CorruptHead(f"The head's manifest is damaged ({type(error).__name__}): train it again.") from error


def _part(tensors: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _lifted(manifest: dict[str, Any], tensors: dict[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A file of format 1, where every head was dense and its calibration folded into its last layer."""
    if manifest["kind"] != ("linear" if manifest["layers"] == 1 else "mlp"):
        raise CorruptHead(f"The head's file has {manifest['layers']} layers and calls itself {manifest['kind']!r}.")
    body = {name: manifest[name] for name in ("layers", "slots", "activation", "normalize")}
    lifted = {
        **manifest,
        "kind": "dense",
        "body": body,
        "guards": None,
        "reading": Reading.TEXT.value,
        "temperature": 1.0,
        "scale": [],
        "bias": [],
    }
    return lifted, {BODY + name: tensor for name, tensor in tensors.items()}


def _stacked(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of format 2, where the guards read one slot and their arrays had no axis of slots."""
    single = {f"{GUARDS}outside.{name}" for name in ("mean", "basis", "variances")}
    return {name: tensor[None] if name in single else tensor for name, tensor in tensors.items()}


def _check(head: Head) -> None:
    """Refuses what could not be served truthfully."""
    _check_words(head)
    outputs = {
        TaskKind.SINGLE_LABEL: len(head.labels),
        TaskKind.MULTI_LABEL: len(head.labels),
        TaskKind.REGRESSION: 1,
        TaskKind.ENTITIES: 1 + 2 * len(head.labels),
        TaskKind.ANSWER: 2,
    }[head.task_kind]
    if head.body.outputs != outputs:
        raise CorruptHead(f"The head gives {head.body.outputs} scores for {len(head.labels)} labels.")
    multi = head.task_kind is TaskKind.MULTI_LABEL
    if len(head.thresholds) != (len(head.labels) if multi else 0):
        raise CorruptHead(f"The head has {len(head.thresholds)} thresholds for {len(head.labels)} labels.")
    calibration = head.calibration
    if len(calibration.scale) != len(calibration.bias) or len(calibration.scale) not in (0, len(head.labels)):
        raise CorruptHead("The head's calibration does not fit its labels.")
    whole = isinstance(head.positive, int) and not isinstance(head.positive, bool)
    if not whole or not -1 <= head.positive < len(head.labels):
        raise CorruptHead(f"The head's positive label is number {head.positive} of {len(head.labels)}.")
    numbers = (head.threshold, calibration.temperature, *head.thresholds, *calibration.scale, *calibration.bias)
    if not all(math.isfinite(value) for value in numbers) or calibration.temperature <= 0:
        raise CorruptHead("The head has a threshold or calibration that is not a finite number.")


def _check_words(head: Head) -> None:
    words = (head.backbone, head.domain, head.task, *head.labels)
    if not all(isinstance(word, str) and word and "\0" not in word for word in words):
        raise CorruptHead("The head must name its backbone, domain, task and labels, without NUL characters.")
    if len(head.labels) < (2 if head.task_kind is TaskKind.SINGLE_LABEL else 1):
        raise CorruptHead("The head has too few labels.")
    if len(set(head.labels)) != len(head.labels):
        raise CorruptHead("The head names a label twice.")
