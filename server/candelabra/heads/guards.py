"""What an answer can say of itself: which labels are credible, how far off a number is, how strange the text is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from candelabra.errors import CorruptHead
from candelabra.heads.bodies.dense import expect_tensors, slots_of_json, slots_to_json
from candelabra.heads.outside import BEYOND, TENSORS, Outside, ranks
from candelabra.types import Slot

SCORES = 1024

Kind = Literal["label", "labels", "number"]


@dataclass(frozen=True, eq=False)
class Conformal:
    """Split conformal prediction (Vovk; LAC: Sadinle, Lei and Wasserman 2019) from scores of unseen rows.

    A row's score is 1 - the probability of its label (`label`), the largest such of its labels (`labels`; rows
    without a label have none), or the distance of its number (`number`). `scores` float32, sorted, are all `rows` of
    them or SCORES of their order statistics, evenly spread.
    """

    kind: Kind
    scores: np.ndarray
    rows: int

    @classmethod
    def of(cls, kind: Kind, scores: np.ndarray) -> Conformal:
        ordered = np.sort(np.asarray(scores, np.float32))
        return cls(kind, ordered[ranks(len(ordered), SCORES) - 1], len(ordered))

    def quantile(self, coverage: float) -> float:
        """The ceil((n + 1) coverage)-th smallest score; infinite where so few rows can promise nothing."""
        rank = max(1, math.ceil((self.rows + 1) * coverage - 1e-9))
        if rank > self.rows:
            return math.inf
        # Of a thinned list the next higher score: covering more than asked is no lie.
        return float(self.scores[np.searchsorted(ranks(self.rows, SCORES), rank)])


@dataclass(frozen=True, eq=False)
class Guards:
    """Both references of a head, each of which may be missing."""

    conformal: Conformal | None = None
    outside: Outside | None = None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The pooled vectors that `outside_scores` reads; none where it has no reference."""
        return self.outside.slots if self.outside else ()

    def prediction_sets(self, probabilities: np.ndarray, coverage: float) -> np.ndarray:
        """Bool [n, labels]: the labels that cannot be ruled out at this coverage; every one if there is no evidence.

        Of single-label rows the share `coverage` has its label in the set; a set may be empty, which says that no
        label is credible. Of multi-label rows that carry a label the share `coverage` has all of them in the set.
        """
        limit = math.inf if self.conformal is None else self.conformal.quantile(coverage)
        inside: np.ndarray = 1.0 - np.asarray(probabilities, np.float32) <= np.float32(limit)
        return inside

    def intervals(self, numbers: np.ndarray, coverage: float) -> np.ndarray:
        """Float64 [n, 2] around numbers [n]; infinite if there is no evidence."""
        width = math.inf if self.conformal is None else self.conformal.quantile(coverage)
        numbers = np.asarray(numbers, np.float64)
        return np.stack([numbers - width, numbers + width], axis=1)

    def outside_scores(self, features: np.ndarray) -> np.ndarray | None:
        """Float32 [n] in 0..1 of features [n, slots * d] of `slots`; from BEYOND on a text is called outside."""
        return None if self.outside is None else self.outside.scores(features)

    def tensors(self) -> dict[str, np.ndarray]:
        tensors: dict[str, np.ndarray] = {}
        if self.conformal:
            tensors["conformal"] = self.conformal.scores
        if self.outside:
            tensors.update({f"outside.{name}": tensor for name, tensor in self.outside.tensors().items()})
        return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}

    def about(self) -> dict[str, object]:
        made, found = self.conformal, self.outside
        return {
            "conformal": {"kind": made.kind, "rows": made.rows} if made else None,
            "outside": slots_to_json(found.slots) if found else None,
        }

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Guards:
        """The reverse of `about` and `tensors`; raises CorruptHead for what could not be served truthfully."""
        wanted: dict[str, Any] = {"conformal": np.float32} if about["conformal"] else {}
        if about["outside"]:
            wanted.update({f"outside.{name}": dtype for name, dtype in TENSORS.items()})
        expect_tensors(tensors, wanted)
        if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
            raise CorruptHead("The head's guards hold a number that is not finite.")
        conformal = outside = None
        if about["conformal"]:
            conformal = Conformal(about["conformal"]["kind"], tensors["conformal"], about["conformal"]["rows"])
            _check_conformal(conformal)
        if about["outside"]:
            slots = slots_of_json(about["outside"])
            outside = Outside(slots, **{name: tensors[f"outside.{name}"] for name in TENSORS})
            outside.check()
        return cls(conformal, outside)


def abstains(best: float, outside: float | None, below: float, when_outside: bool) -> bool:
    """Whether an answer is better withheld: its best probability, and its outside score if there is one."""
    return best < below or (when_outside and outside is not None and outside >= BEYOND)


def _check_conformal(found: Conformal) -> None:
    whole = isinstance(found.rows, int) and not isinstance(found.rows, bool) and found.rows >= 0
    fits = whole and found.scores.shape == (min(found.rows, SCORES),)
    if not fits or found.kind not in ("label", "labels", "number") or (np.diff(found.scores) < 0).any():
        raise CorruptHead("The head's prediction sets rest on damaged numbers.")
