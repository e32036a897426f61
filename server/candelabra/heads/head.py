"""One head: an immutable small function from pooled features to calibrated probabilities, and its one file."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from candelabra.errors import CorruptHead
from candelabra.types import LongText, Method, Slot, TaskKind

FORMAT = 1
MANIFEST = "candelabra"
HEADER_LIMIT = 16 * 1024**2
TINY = np.float32(1e-12)

Array = np.ndarray[Any, np.dtype[np.float32]]
Activation = Literal["none", "relu", "gelu"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How logits were made probabilities. A record: it is already folded into the head's last layer.

    Single-label heads divide by `temperature`; multi-label ones use `scale` and `bias` of each label.
    """

    temperature: float = 1.0
    scale: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Head:
    """Weights plus all that is needed to use them. Safe to share between threads; never changed after it was made.

    `layers` are pairs (weight [inputs, outputs], bias [outputs]); one pair is a linear head. `normalize` scales
    each slot's vector to length 1 first. `thresholds` has one number a label for multi-label heads. `positive`
    is the label that wins as soon as its probability reaches `threshold` (recall first), or -1: the best label wins.
    """

    layers: tuple[tuple[Array, Array], ...]
    slots: tuple[Slot, ...]
    labels: tuple[str, ...]
    task_kind: TaskKind
    backbone: str
    domain: str
    task: str
    method: Method
    long_text: LongText = LongText.TRUNCATE
    activation: Activation = "none"
    normalize: bool = True
    calibration: Calibration = Calibration()
    thresholds: tuple[float, ...] = ()
    positive: int = -1
    threshold: float = 0.5
    lineage: Mapping[str, object] = field(default_factory=dict)
    report: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple((_frozen(weight), _frozen(bias)) for weight, bias in self.layers))
        _check(self)

    @property
    def kind(self) -> str:
        return "linear" if len(self.layers) == 1 else "mlp"

    @property
    def dimension(self) -> int:
        """Length of one slot's vector."""
        return int(self.layers[0][0].shape[0]) // len(self.slots)

    @property
    def nbytes(self) -> int:
        return sum(weight.nbytes + bias.nbytes for weight, bias in self.layers)

    def logits(self, features: np.ndarray) -> Array:
        """Calibrated logits of features [n, slots * dimension]."""
        x = np.asarray(features, dtype=np.float32)
        if self.normalize:
            x = normalized(x, len(self.slots))
        *hidden, (weight, bias) = self.layers
        for inner, shift in hidden:
            x = _activate(x @ inner + shift, self.activation)
        z: Array = x @ weight + bias
        return z

    def scores(self, features: np.ndarray) -> Array:
        """Calibrated probabilities [n, labels] of features [n, slots * dimension]. Rows do not touch each other."""
        z = self.logits(features)
        if self.task_kind is TaskKind.MULTI_LABEL:
            return sigmoid(z)
        return softmax(z)

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
        tensors = {}
        for index, (weight, bias) in enumerate(self.layers):
            tensors[f"layers.{index}.weight"] = weight
            tensors[f"layers.{index}.bias"] = bias
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


def normalized(features: np.ndarray, slots: int) -> np.ndarray:
    """Each slot's vector scaled to length 1, in the features' own precision."""
    x = features.reshape(len(features), slots, -1)
    length = np.sqrt(np.einsum("nsd,nsd->ns", x, x))
    scaled: np.ndarray = x / np.maximum(length, TINY)[:, :, None]
    return scaled.reshape(features.shape)


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


def _activate(x: np.ndarray, activation: str) -> np.ndarray:
    if activation == "relu":
        positive: np.ndarray = np.maximum(x, np.float32(0))
        return positive
    # The tanh form, because numpy has no erf; training uses the same one.
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    smooth: np.ndarray = np.float32(0.5) * x * (np.float32(1) + np.tanh(inner))
    return smooth


def _frozen(array: np.ndarray) -> Array:
    copy = np.array(array, dtype=np.float32, order="C")
    copy.flags.writeable = False
    return copy


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _manifest(head: Head) -> dict[str, object]:
    return {
        "format": FORMAT,
        "kind": head.kind,
        "layers": len(head.layers),
        "slots": [[slot.layer, slot.pooling] for slot in head.slots],
        "labels": list(head.labels),
        "task_kind": head.task_kind.value,
        "backbone": head.backbone,
        "domain": head.domain,
        "task": head.task,
        "method": head.method.value,
        "long_text": head.long_text.value,
        "activation": head.activation,
        "normalize": head.normalize,
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
    if manifest.get("format") != FORMAT:
        raise CorruptHead(f"The head's file has format {manifest.get('format')!r}; this server reads {FORMAT}.")
    return manifest


def _from_manifest(manifest: dict[str, Any], tensors: dict[str, np.ndarray]) -> Head:
    try:
        count = manifest["layers"]
        names = [f"layers.{index}.{part}" for index in range(count) for part in ("weight", "bias")]
        if set(tensors) != set(names):
            raise CorruptHead(f"The head's file holds the tensors {sorted(tensors)[:8]}, not {names[:8]}.")
        wrong = [name for name in names if tensors[name].dtype != np.float32]
        if wrong:
            raise CorruptHead(f"The head's tensor {wrong[0]} is {tensors[wrong[0]].dtype}, not float32.")
        head = Head(
            layers=tuple((tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"]) for i in range(count)),
            slots=tuple(Slot(layer, pooling) for layer, pooling in manifest["slots"]),
            labels=tuple(manifest["labels"]),
            task_kind=TaskKind(manifest["task_kind"]),
            backbone=manifest["backbone"],
            domain=manifest["domain"],
            task=manifest["task"],
            method=Method(manifest["method"]),
            long_text=LongText(manifest["long_text"]),
            activation=manifest["activation"],
            normalize=manifest["normalize"],
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
        if head.kind != manifest["kind"]:
            raise CorruptHead(f"The head's file has {count} layers and calls itself {manifest['kind']!r}.")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise CorruptHead(f"The head's manifest is damaged ({type(error).__name__}): train it again.") from error
    return head


def _check(head: Head) -> None:
    """Refuses what could not be served truthfully."""
    _check_words(head)
    _check_shapes(head)
    numbers = (
        head.threshold,
        head.calibration.temperature,
        *head.thresholds,
        *head.calibration.scale,
        *head.calibration.bias,
    )
    if not all(math.isfinite(value) for value in numbers):
        raise CorruptHead("The head has a threshold or calibration that is not a finite number.")
    for index, (weight, bias) in enumerate(head.layers):
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise CorruptHead(f"Layer {index} of the head has a weight that is not a finite number.")


def _check_words(head: Head) -> None:
    words = (head.backbone, head.domain, head.task, *head.labels)
    if not all(isinstance(word, str) and word and "\0" not in word for word in words):
        raise CorruptHead("The head must name its backbone, domain, task and labels, without NUL characters.")
    if len(head.labels) < (1 if head.task_kind is TaskKind.MULTI_LABEL else 2):
        raise CorruptHead("The head has too few labels.")
    if len(set(head.labels)) != len(head.labels):
        raise CorruptHead("The head names a label twice.")
    if not isinstance(head.normalize, bool) or head.activation not in ("none", "relu", "gelu"):
        raise CorruptHead("The head's normalization or activation is unknown to this server.")
    for slot in head.slots:
        whole = isinstance(slot.layer, int) and not isinstance(slot.layer, bool)
        if not whole or slot.layer < 0 or slot.pooling not in ("mean", "cls"):
            raise CorruptHead(f"The head wants the slot {slot}, which no backbone gives.")
    if len(set(head.slots)) != len(head.slots) or not head.slots:
        raise CorruptHead("The head must want at least one slot, and each only once.")


def _check_shapes(head: Head) -> None:
    if not head.layers or (head.activation == "none") != (len(head.layers) == 1):
        raise CorruptHead("The head needs one linear layer, or several with an activation.")
    width = None
    for index, (weight, bias) in enumerate(head.layers):
        if weight.ndim != 2 or bias.shape != weight.shape[1:] or (width is not None and weight.shape[0] != width):
            raise CorruptHead(f"Layer {index} of the head has shapes {weight.shape} and {bias.shape} that do not fit.")
        width = weight.shape[1]
    inputs = head.layers[0][0].shape[0]
    if inputs == 0 or inputs % len(head.slots):
        raise CorruptHead(f"The head has {inputs} inputs, which do not divide among its {len(head.slots)} slots.")
    if width != len(head.labels):
        raise CorruptHead(f"The head gives {width} scores for {len(head.labels)} labels.")
    multi = head.task_kind is TaskKind.MULTI_LABEL
    if len(head.thresholds) != (len(head.labels) if multi else 0):
        raise CorruptHead(f"The head has {len(head.thresholds)} thresholds for {len(head.labels)} labels.")
    whole = isinstance(head.positive, int) and not isinstance(head.positive, bool)
    if not whole or not -1 <= head.positive < len(head.labels):
        raise CorruptHead(f"The head's positive label is number {head.positive} of {len(head.labels)}.")
