"""What a span finder is taught: where answers begin and end, over all windows of a row at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from candelabra.engine.window import Window
from candelabra.heads.bodies.span import Rarity
from candelabra.heads.bodies.span_choice import edges
from candelabra.heads.bodies.span_network import LOWEST, Batch

Truth = Sequence[Sequence[tuple[int, int]]]
"""First and last token of each answer, for each window of a row."""


@dataclass(frozen=True, eq=False)
class Part:
    """Rows with all their windows: `row` int64 [b] says whose each window is; `open` and `true` bool [2, b, t] where
    an answer may begin or end (the first token is no answer), and where one does."""

    batch: Batch
    row: torch.Tensor
    rows: int
    open: torch.Tensor
    true: torch.Tensor

    @classmethod
    def of(
        cls,
        windows: Sequence[Sequence[Window]],
        truth: Sequence[Truth],
        states: Sequence[Sequence[np.ndarray]],
        rarity: Rarity,
    ) -> Part:
        every = [window for row in windows for window in row]
        batch = Batch.of(every, [one for row in states for one in row], [rarity.of(one.ids) for one in every])
        open_, true = (np.zeros((2, *batch.ids.shape), bool) for _ in range(2))
        row = np.repeat(np.arange(len(windows)), [len(one) for one in windows])
        for at, (window, answers) in enumerate(zip(every, (one for each in truth for one in each), strict=True)):
            open_[0, at, : len(window)], open_[1, at, : len(window)] = edges(window)
            open_[:, at, 0] = True
            for first, last in answers:
                true[0, at, first] = true[1, at, last] = True
            true[:, at, 0] = not any(truth[row[at]])
        return cls(batch, torch.from_numpy(row), len(windows), torch.from_numpy(open_), torch.from_numpy(true))


def loss_of(scores: torch.Tensor, part: Part) -> torch.Tensor:
    """Mean negative log of the probability that start and end fall on those of some true answer.

    `scores` [b, t, 2]. One softmax over the tokens of all windows of a row, so that windows can be compared when
    they are served, and the sum over all true answers (Clark and Gardner 2018, arXiv 1710.10723).
    """
    total = scores.new_zeros(())
    for at in range(2):
        own = scores[..., at].masked_fill(~part.open[at], LOWEST)
        right = own.masked_fill(~part.true[at], LOWEST)
        total = total + (_log_sum(own, part) - _log_sum(right, part)).mean()
    return total / 2


def _log_sum(scores: torch.Tensor, part: Part) -> torch.Tensor:
    """Log of the sum of exponentials over all windows of each row, [rows]."""
    each = scores.logsumexp(dim=1)
    highest = each.new_full((part.rows,), LOWEST).scatter_reduce(0, part.row, each.detach(), "amax")
    sums = each.new_zeros(part.rows).index_add(0, part.row, (each - highest[part.row]).exp())
    return highest + sums.clamp_min(1e-30).log()
