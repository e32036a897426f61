"""One dense layer or a small network on pooled features: what most heads are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.types import Slot

TINY = np.float32(1e-12)

Array = np.ndarray[Any, np.dtype[np.float32]]
Activation = Literal["none", "relu", "gelu"]


@dataclass(frozen=True, eq=False)
class Dense:
    """`weights` are pairs (weight [inputs, outputs], bias [outputs]); one pair is a linear function.

    `normalize` scales each slot's vector to length 1 first. Costs 2 x inputs x outputs operations a row.
    """

    kind: ClassVar[str] = "dense"
    layers: ClassVar[tuple[int, ...]] = ()

    slots: tuple[Slot, ...]
    weights: tuple[tuple[Array, Array], ...]
    activation: Activation = "none"
    normalize: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple((frozen(weight), frozen(bias)) for weight, bias in self.weights))
        check_slots(self.slots)
        self._check()

    @property
    def outputs(self) -> int:
        return int(self.weights[-1][0].shape[1])

    @property
    def dimension(self) -> int:
        """Length of one slot's vector."""
        return int(self.weights[0][0].shape[0]) // len(self.slots)

    def logits(self, inputs: Inputs) -> Array:
        return self.of(inputs.features)

    def of(self, features: np.ndarray) -> Array:
        """Logits [n, outputs] of features [n, slots * dimension]."""
        x = np.asarray(features, dtype=np.float32)
        if self.normalize:
            x = normalized(x, len(self.slots))
        *hidden, (weight, bias) = self.weights
        for inner, shift in hidden:
            x = _activate(x @ inner + shift, self.activation)
        z: Array = x @ weight + bias
        return z

    def tensors(self) -> dict[str, np.ndarray]:
        tensors = {}
        for index, (weight, bias) in enumerate(self.weights):
            tensors[f"layers.{index}.weight"] = weight
            tensors[f"layers.{index}.bias"] = bias
        return tensors

    def about(self) -> dict[str, object]:
        return {
            "layers": len(self.weights),
            "slots": slots_to_json(self.slots),
            "activation": self.activation,
            "normalize": self.normalize,
        }

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Dense:
        count = about["layers"]
        names = [f"layers.{index}.{part}" for index in range(count) for part in ("weight", "bias")]
        expect_tensors(tensors, dict.fromkeys(names, np.float32))
        return cls(
            slots=slots_of_json(about["slots"]),
            weights=tuple((tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"]) for i in range(count)),
            activation=about["activation"],
            normalize=about["normalize"],
        )

    def _check(self) -> None:
        if not isinstance(self.normalize, bool) or self.activation not in ("none", "relu", "gelu"):
            raise CorruptHead("The head's normalization or activation is unknown to this server.")
        if not self.weights or (self.activation == "none") != (len(self.weights) == 1):
            raise CorruptHead("The head needs one linear layer, or several with an activation.")
        width = None
        for index, (weight, bias) in enumerate(self.weights):
            if weight.ndim != 2 or bias.shape != weight.shape[1:] or (width is not None and weight.shape[0] != width):
                raise CorruptHead(
                    f"Layer {index} of the head has shapes {weight.shape} and {bias.shape} that do not fit."
                )
            width = weight.shape[1]
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise CorruptHead(f"Layer {index} of the head has a weight that is not a finite number.")
        inputs = self.weights[0][0].shape[0]
        if inputs == 0 or inputs % len(self.slots):
            raise CorruptHead(f"The head has {inputs} inputs, which do not divide among its {len(self.slots)} slots.")


def normalized(features: np.ndarray, slots: int) -> np.ndarray:
    """Each slot's vector scaled to length 1, in the features' own precision."""
    x = features.reshape(len(features), slots, -1)
    length = np.sqrt(np.einsum("nsd,nsd->ns", x, x))
    scaled: np.ndarray = x / np.maximum(length, TINY)[:, :, None]
    return scaled.reshape(features.shape)


def frozen(array: np.ndarray) -> Array:
    """A read-only float32 copy."""
    copy = np.array(array, dtype=np.float32, order="C")
    copy.flags.writeable = False
    return copy


def check_slots(slots: tuple[Slot, ...]) -> None:
    for slot in slots:
        whole = isinstance(slot.layer, int) and not isinstance(slot.layer, bool)
        if not whole or slot.layer < 0 or slot.pooling not in ("mean", "cls"):
            raise CorruptHead(f"The head wants the slot {slot}, which no backbone gives.")
    if len(set(slots)) != len(slots) or not slots:
        raise CorruptHead("The head must want at least one slot, and each only once.")


def slots_to_json(slots: tuple[Slot, ...]) -> list[list[object]]:
    return [[slot.layer, slot.pooling] for slot in slots]


def slots_of_json(found: Any) -> tuple[Slot, ...]:
    return tuple(Slot(layer, pooling) for layer, pooling in found)


def expect_tensors(tensors: Mapping[str, np.ndarray], wanted: Mapping[str, Any]) -> None:
    """Exactly these tensors, each of its dtype."""
    if set(tensors) != set(wanted):
        raise CorruptHead(f"The head's file holds the tensors {sorted(tensors)[:8]}, not {sorted(wanted)[:8]}.")
    for name, dtype in wanted.items():
        if tensors[name].dtype != dtype:
            raise CorruptHead(f"The head's tensor {name} is {tensors[name].dtype}, not {np.dtype(dtype).name}.")


def _activate(x: np.ndarray, activation: str) -> np.ndarray:
    if activation == "relu":
        positive: np.ndarray = np.maximum(x, np.float32(0))
        return positive
    # The tanh form, because numpy has no erf; training uses the same one.
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    smooth: np.ndarray = np.float32(0.5) * x * (np.float32(1) + np.tanh(inner))
    return smooth
