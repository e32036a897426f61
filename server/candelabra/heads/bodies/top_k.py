"""The upper layers of the encoder as tuned for one task: a fork of the shared forward, with a linear layer behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies.dense import Array, expect_tensors, frozen
from candelabra.heads.bodies.transformer_layer import BUCKETS, NAMES, Layers, Shape, padded, rounded, run
from candelabra.types import Slot

PASS_TOKENS = 1024
"""Padded tokens of one pass: more leave a CPU's caches."""
LAYERS = 64


@dataclass(frozen=True, eq=False)
class TopK:
    """Own layers on the token states at `layer`, the mean of their tokens, and a linear function of it.

    `weight` [d, outputs] reads the mean. A text of several windows has one mean over all of its tokens, so each window
    counts by its tokens. Weights of the layers are float16 in the file: 24 d^2 bytes a layer, 3.5 MB at d = 384. A
    token costs 24 d^2 operations a layer, as much as in the encoder; frozen layers below are shared with every head.
    """

    kind: ClassVar[str] = "top_k"
    slots: ClassVar[tuple[Slot, ...]] = ()

    layer: int
    upper: Layers
    weight: Array
    bias: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen(self.weight))
        object.__setattr__(self, "bias", frozen(self.bias))
        # Served as it is filed: the same answers before and after a restart.
        object.__setattr__(self, "upper", rounded(self.upper))
        self._check()

    @property
    def layers(self) -> tuple[int, ...]:
        return (self.layer,)

    @property
    def outputs(self) -> int:
        return int(self.weight.shape[1])

    @property
    def dimension(self) -> int:
        return int(self.upper.weights[0]["out.weight"].shape[0])

    def logits(self, inputs: Inputs) -> Array:
        """float32 [n, outputs]."""
        z: Array = self.means(inputs.states) @ self.weight + self.bias
        return z

    def means(self, states: Sequence[Sequence[np.ndarray]]) -> Array:
        """Means over all tokens of each row behind the own layers, float32 [n, d]."""
        windows = [(row, state) for row, parts in enumerate(states) for state in parts]
        windows.sort(key=lambda one: len(one[1]))
        sums, tokens = np.zeros((len(states), self.dimension), np.float32), np.zeros(len(states), np.float32)
        start = 0
        with torch.inference_mode():
            while start < len(windows):
                end = start + 1
                while end < len(windows) and (end + 1 - start) * len(windows[end][1]) <= PASS_TOKENS:
                    end += 1
                parts = [torch.from_numpy(np.ascontiguousarray(one[:, 0], np.float32)) for _, one in windows[start:end]]
                x, mask = padded(parts)
                x = run(x, mask, self.upper)
                if mask is not None:
                    x = x * mask[..., None]
                for (row, state), total in zip(windows[start:end], x.sum(1).numpy(), strict=True):
                    sums[row] += total
                    tokens[row] += len(state)
                start = end
        return np.asarray(sums / np.maximum(tokens, 1)[:, None], np.float32)

    def tensors(self) -> dict[str, np.ndarray]:
        found = {f"layer.{at}.{name}": one[name] for at, one in enumerate(self.upper.weights) for name in NAMES}
        if self.upper.near is not None:
            found["near"] = self.upper.near
        halves = {name: tensor.numpy().astype(np.float16) for name, tensor in found.items()}
        return {"weight": self.weight, "bias": self.bias, **halves}

    def about(self) -> dict[str, object]:
        return {
            "layer": self.layer,
            "count": len(self.upper.weights),
            "heads": self.upper.shape.heads,
            "epsilon": self.upper.shape.epsilon,
            "near": self.upper.near is not None,
        }

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> TopK:
        layer = _number(about, "layer", 0, 1 << 16)
        count, heads = _number(about, "count", 1, LAYERS), _number(about, "heads", 1, 4096)
        epsilon = about.get("epsilon")
        if not isinstance(epsilon, float) or not 0 < epsilon < 1 or not isinstance(about.get("near"), bool):
            raise CorruptHead("The head's epsilon or kind of positions is unknown to this server.")
        wanted: dict[str, Any] = {f"layer.{at}.{name}": np.float16 for at in range(count) for name in NAMES}
        wanted |= {"weight": np.float32, "bias": np.float32, **({"near": np.float16} if about["near"] else {})}
        expect_tensors(tensors, wanted)

        def torched(name: str) -> torch.Tensor:
            return torch.from_numpy(tensors[name].astype(np.float32))

        weights = tuple({name: torched(f"layer.{at}.{name}") for name in NAMES} for at in range(count))
        near = torched("near") if about["near"] else None
        upper = Layers(Shape(heads, epsilon), weights, near)
        return cls(layer, upper, tensors["weight"], tensors["bias"])

    def _check(self) -> None:
        width, first = self.dimension, self.upper.weights[0]
        if width % self.upper.shape.heads or self.weight.shape != (width, len(self.bias)) or not len(self.bias):
            raise CorruptHead(
                f"The head's last layer has the shape {self.weight.shape}: it does not fit {width} inputs."
            )
        inner = first["up.bias"].shape[0]
        shapes = {
            "qkv": (3 * width, width),
            "out": (width, width),
            "norm": (width,),
            "up": (inner, width),
            "down": (width, inner),
            "last_norm": (width,),
        }
        for at, one in enumerate(self.upper.weights):
            for name, shape in shapes.items():
                if one[f"{name}.weight"].shape != shape or one[f"{name}.bias"].shape != shape[:1]:
                    raise CorruptHead(f"Layer {at} of the head has a {name} that does not fit {width} inputs.")
        near = self.upper.near
        if near is not None and near.shape != (BUCKETS, self.upper.shape.heads):
            raise CorruptHead(f"The head's bias for distances has the shape {tuple(near.shape)}.")
        if not all(np.isfinite(tensor).all() for tensor in self.tensors().values()):
            raise CorruptHead("The head has a weight that is not a finite number.")


def _number(about: Mapping[str, Any], name: str, low: int, high: int) -> int:
    number = about.get(name)
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise CorruptHead(f"The head's {name} is {number!r}, not a number from {low} to {high}.")
    return number
