"""A linear function of how two texts' vectors compare: each text is encoded on its own, and may be in the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies.dense import (
    Array,
    check_slots,
    expect_tensors,
    frozen,
    normalized,
    slots_of_json,
    slots_to_json,
)
from candelabra.types import Reading, Slot

PARTS = ("first", "second", "difference", "product", "cosine")

Part = tuple[str, int]
"""How two vectors compare, and the index of their slot."""


@dataclass(frozen=True, eq=False)
class Pair:
    """`weight` float32 [inputs, outputs] and `bias` [outputs] on the features of `parts`, in their order.

    With u and v the two texts' vectors of a slot, at length 1: u, v, |u - v| and u * v (Conneau et al. 2017, InferSent)
    have their dimension, the cosine is one number. Costs 2 x inputs x outputs operations a row.
    """

    kind: ClassVar[str] = "pair"
    layers: ClassVar[tuple[int, ...]] = ()
    reading: ClassVar[Reading] = Reading.SEPARATE

    slots: tuple[Slot, ...]
    dimension: int
    parts: tuple[Part, ...]
    weight: Array
    bias: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen(self.weight))
        object.__setattr__(self, "bias", frozen(self.bias))
        check_slots(self.slots)
        self._check()

    @property
    def outputs(self) -> int:
        return int(self.weight.shape[1])

    def logits(self, inputs: Inputs) -> Array:
        """`inputs.features` is [n, 2 * slots * dimension]: all slots of the first text, then those of the second."""
        z: Array = compared(inputs.features, len(self.slots), self.parts) @ self.weight + self.bias
        return z

    def tensors(self) -> dict[str, np.ndarray]:
        return {"weight": self.weight, "bias": self.bias}

    def about(self) -> dict[str, object]:
        return {
            "slots": slots_to_json(self.slots),
            "dimension": self.dimension,
            "parts": [list(part) for part in self.parts],
        }

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Pair:
        expect_tensors(tensors, {"weight": np.float32, "bias": np.float32})
        try:
            slots, dimension = slots_of_json(about["slots"]), about["dimension"]
            parts = tuple((name, at) for name, at in about["parts"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptHead("The head's file does not say which parts of two texts it compares.") from error
        return cls(slots, dimension, parts, tensors["weight"], tensors["bias"])

    def _check(self) -> None:
        if isinstance(self.dimension, bool) or not isinstance(self.dimension, int) or self.dimension < 1:
            raise CorruptHead(f"The head's vectors have {self.dimension!r} numbers.")
        for name, at in self.parts:
            if name not in PARTS or isinstance(at, bool) or not isinstance(at, int) or not 0 <= at < len(self.slots):
                raise CorruptHead(f"The head compares {name!r} of slot {at!r}, which it does not have.")
        width = sum(widths(self.parts, self.dimension))
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[1:] or self.weight.shape[0] != width:
            raise CorruptHead(
                f"The head has shapes {self.weight.shape} and {self.bias.shape}, and {width} features to read."
            )
        if not width or not (np.isfinite(self.weight).all() and np.isfinite(self.bias).all()):
            raise CorruptHead("The head has no weights, or one that is not a finite number.")


def widths(parts: Sequence[Part], dimension: int) -> list[int]:
    """Features that each part gives."""
    return [1 if name == "cosine" else dimension for name, _ in parts]


def compared(features: np.ndarray, slots: int, parts: Sequence[Part]) -> Array:
    """Of two texts' slots [n, 2 * slots * dimension], the features of `parts` side by side, float32 [n, inputs]."""
    x = normalized(np.asarray(features, np.float32), 2 * slots).reshape(len(features), 2, slots, -1)
    made: list[np.ndarray] = []
    for name, at in parts:
        u, v = x[:, 0, at], x[:, 1, at]
        if name == "first":
            made.append(u)
        elif name == "second":
            made.append(v)
        elif name == "difference":
            made.append(np.abs(u - v))
        elif name == "product":
            made.append(u * v)
        else:
            made.append(np.einsum("nd,nd->n", u, v)[:, None])
    return np.concatenate(made, axis=1)
