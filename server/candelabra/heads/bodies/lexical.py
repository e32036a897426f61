"""A linear function of the words and pieces of words of a text: TF-IDF with its own weights, no encoder needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from candelabra.engine.row import Inputs
from candelabra.errors import CorruptHead
from candelabra.heads.bodies.dense import Array, expect_tensors, frozen
from candelabra.heads.bodies.terms import LENGTHS, Terms
from candelabra.types import Slot

CHUNK = 64
"""Texts at a time: their terms' weights lie in memory together."""


@dataclass(frozen=True, eq=False)
class Lexical:
    """`weight` float16 [terms, outputs], `bias` float32 [outputs]; a text without any known term gets the bias.

    About 0.2 ms for a short text alone, a third of it in a batch. After Salton and Buckley, "Term-weighting
    approaches in automatic text retrieval" (1988), with logistic regression as its trainer uses it.
    """

    kind: ClassVar[str] = "lexical"
    slots: ClassVar[tuple[Slot, ...]] = ()
    layers: ClassVar[tuple[int, ...]] = ()

    terms: Terms
    weight: np.ndarray
    bias: Array

    def __post_init__(self) -> None:
        weight = np.array(self.weight, np.float16, order="C")
        weight.flags.writeable = False
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", frozen(self.bias))
        self._check()

    @property
    def outputs(self) -> int:
        return len(self.bias)

    def logits(self, inputs: Inputs) -> Array:
        return self.of(inputs.texts)

    def of(self, texts: Sequence[str]) -> Array:
        """Logits [n, outputs]."""
        z = np.tile(self.bias, (len(texts), 1))
        for start in range(0, len(texts), CHUNK):
            rows, columns, values = self.terms.entries(texts[start : start + CHUNK])
            if len(rows):
                first = np.flatnonzero(np.diff(rows, prepend=-1))
                weighted = self.weight[columns] * values[:, None]
                z[start + rows[first]] += np.add.reduceat(weighted, first, axis=0)
        return z

    def tensors(self) -> dict[str, np.ndarray]:
        spelled = "\0".join((*self.terms.words, *self.terms.characters)).encode("utf-8", "surrogatepass")
        return {
            "terms": np.frombuffer(spelled, np.uint8),
            "idf": self.terms.idf,
            "weight": self.weight,
            "bias": self.bias,
        }

    def about(self) -> dict[str, object]:
        return {"words": len(self.terms.words), "characters": len(self.terms.characters)}

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Lexical:
        expect_tensors(tensors, {"terms": np.uint8, "idf": np.float32, "weight": np.float16, "bias": np.float32})
        words, characters = about["words"], about["characters"]
        if not all(type(count) is int and count >= 0 for count in (words, characters)):
            raise CorruptHead("The head does not say how many words and pieces of words it knows.")
        try:
            spelled = tensors["terms"].tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise CorruptHead("The head's terms are not UTF-8: fetch or train it again.") from error
        terms = tuple(spelled.split("\0")) if spelled else ()
        if len(terms) != words + characters or len(set(terms[:words])) + len(set(terms[words:])) != len(terms):
            raise CorruptHead(f"The head has {len(terms)} terms, or one twice, but says {words} + {characters}.")
        check_terms(terms[:words], terms[words:])
        if tensors["idf"].shape != (len(terms),):
            raise CorruptHead(f"The head weighs {tensors['idf'].size} of its {len(terms)} terms.")
        return cls(Terms(terms[:words], terms[words:], tensors["idf"]), tensors["weight"], tensors["bias"])

    def _check(self) -> None:
        if self.bias.ndim != 1 or not len(self.bias) or self.weight.shape != (len(self.terms), len(self.bias)):
            raise CorruptHead(
                f"The head has {len(self.terms)} terms, and weights {self.weight.shape} and {self.bias.shape} "
                "that do not fit."
            )
        if not all(np.isfinite(part).all() for part in (self.terms.idf, self.weight, self.bias)):
            raise CorruptHead("The head has a weight that is not a finite number.")
        if (self.terms.idf <= 0).any():
            raise CorruptHead("The head weighs a term with 0 or less.")


def check_terms(words: Sequence[str], characters: Sequence[str]) -> None:
    """Refuses terms that no text could hold, so that a damaged vocabulary is not served as a silent one."""
    if any(not all(word.split(" ", 1)) or word.count(" ") > 1 for word in words):
        raise CorruptHead("The head has a term that is neither a word nor two.")
    if any(len(piece) not in LENGTHS or " " in piece[1:-1] for piece in characters):
        raise CorruptHead("The head has a piece of a word that is not of 3 to 5 characters.")
