"""What the encoder says and what the words say, added: the logits of two bodies, each output with its own weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies.dense import Array, Dense, frozen
from candelabra.heads.bodies.lexical import Lexical
from candelabra.heads.bodies.pair import Pair
from candelabra.types import Reading, Slot

ENCODED: Mapping[str, type[Dense] | type[Pair]] = {Dense.kind: Dense, Pair.kind: Pair}
OWN = {"hybrid.shares", "hybrid.bias"}


@dataclass(frozen=True, eq=False)
class Hybrid:
    """Logits are shares[0] * encoded + shares[1] * lexical + bias; `shares` float32 [2, outputs], `bias` [outputs].

    A stack of linear functions (Wolpert 1992, "Stacked generalization"). Costs what both cost.
    """

    kind: ClassVar[str] = "hybrid"
    layers: ClassVar[tuple[int, ...]] = ()

    encoded: Dense | Pair
    lexical: Lexical
    shares: Array
    bias: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", frozen(self.shares))
        object.__setattr__(self, "bias", frozen(self.bias))
        outputs = self.encoded.outputs
        if self.lexical.outputs != outputs or self.shares.shape != (2, outputs) or self.bias.shape != (outputs,):
            raise CorruptHead(
                f"The head adds {outputs} outputs of the encoder's and {self.lexical.outputs} of words with shares "
                f"{self.shares.shape}, which do not fit."
            )
        if not (np.isfinite(self.shares).all() and np.isfinite(self.bias).all()):
            raise CorruptHead("The head adds its parts with a share that is not a finite number.")

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self.encoded.slots

    @property
    def reading(self) -> Reading:
        """How a pair is read; a part that does not say leaves it to the task, and so there is no such attribute."""
        if isinstance(self.encoded, Pair):
            return self.encoded.reading
        raise AttributeError("reading")

    @property
    def outputs(self) -> int:
        return self.encoded.outputs

    def logits(self, inputs: Inputs) -> Array:
        z: Array = self.encoded.logits(inputs) * self.shares[0] + self.bias
        z += self.lexical.logits(inputs) * self.shares[1]
        return z

    def tensors(self) -> dict[str, np.ndarray]:
        parts = {"encoded": self.encoded.tensors(), "lexical": self.lexical.tensors()}
        found = {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}
        return {**found, "hybrid.shares": self.shares, "hybrid.bias": self.bias}

    def about(self) -> dict[str, object]:
        return {"kind": self.encoded.kind, "encoded": self.encoded.about(), "lexical": self.lexical.about()}

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Hybrid:
        strangers = {name for name in tensors if name.partition(".")[0] not in ("encoded", "lexical")}
        if strangers != OWN or any(tensors[name].dtype != np.float32 for name in OWN):
            raise CorruptHead(f"The head's file holds {sorted(strangers)[:8]} beside its parts, not {sorted(OWN)}.")
        if about["kind"] not in ENCODED:
            raise CorruptHead(f"The head adds words to a part of the kind {str(about['kind'])[:40]!r}, which is none.")
        encoded = ENCODED[about["kind"]].made(about["encoded"], _part(tensors, "encoded"))
        lexical = Lexical.made(about["lexical"], _part(tensors, "lexical"))
        return cls(encoded, lexical, tensors["hybrid.shares"], tensors["hybrid.bias"])


def _part(tensors: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{part}."): one for name, one in tensors.items() if name.startswith(f"{part}.")}
