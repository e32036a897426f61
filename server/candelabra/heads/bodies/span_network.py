"""The trained part of a span finder: from token states of question and text to scores of starts and ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from candelabra.engine.window import Window

NEAR = (3, 10, 30)
"""Radii, in tokens, within which words of the question are counted."""
NEAR_ALIKE = 10
PLAIN_CLUES = 3
LOWEST = -1e4


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes: `layers` states of `dimension` a token; `width` of the side network, its `heads`, `hidden`, `blocks`.

    `alike` are the places among the layers whose states of question and text are compared as they are.
    """

    layers: int
    dimension: int
    width: int = 128
    heads: int = 4
    hidden: int = 256
    blocks: int = 2
    alike: tuple[int, ...] = ()

    @property
    def clues(self) -> int:
        return PLAIN_CLUES + len(NEAR) + 2 * len(self.alike)

    def about(self) -> dict[str, object]:
        return {**asdict(self), "alike": list(self.alike)}


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows side by side, padded to the longest: `states` float [b, t, layers, dimension], `ids` int64 [b, t] with
    -1 for padding, `rarity` float [b, t] from 0 (in every text) to 1, `inside` bool [b, t] where a token is of the
    text, and `asks` bool [b, q] where one of the first q tokens is of the question or special before it."""

    states: torch.Tensor
    ids: torch.Tensor
    rarity: torch.Tensor
    inside: torch.Tensor
    asks: torch.Tensor

    @classmethod
    def of(cls, windows: Sequence[Window], states: Sequence[np.ndarray], rarity: Sequence[np.ndarray]) -> Batch:
        longest = max(map(len, windows))
        shape = (len(windows), longest)
        x = np.zeros((*shape, *states[0].shape[1:]), np.float32)
        ids, rare, inside = np.full(shape, -1, np.int64), np.zeros(shape, np.float32), np.zeros(shape, bool)
        asks = np.zeros((len(windows), max(1, *(window.second for window in windows))), bool)
        for at, window in enumerate(windows):
            size = len(window)
            x[at, :size], ids[at, :size], rare[at, :size] = states[at], window.ids, rarity[at]
            inside[at, :size] = shown(window)
            asks[at, : max(1, window.second)] = True
        return cls(*map(torch.from_numpy, (x, ids, rare, inside, asks)))


def shown(window: Window) -> np.ndarray:
    """Which tokens of a window are of the text, bool [t]."""
    if window.offsets is None:
        raise ValueError("the window was made without offsets: this is a bug")
    return np.asarray(window.offsets[:, 0] >= 0)


class Part(nn.Module):
    """What can drop features while training."""

    dropout = 0.0

    def dropped(self, x: torch.Tensor) -> torch.Tensor:
        """Drops the same features of all tokens of a window (Gal and Ghahramani 2016): one draw serves all."""
        if not self.training or self.dropout == 0:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.dropout
        return x * (keep.to(x.dtype) / (1 - self.dropout))


class Block(Part):
    """One pre-norm transformer layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, shape.hidden), nn.Linear(shape.hidden, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        q, k, v = self.attend(self.before(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        # Written out: torch's fused attention for CPUs is slow in training with so few heads in bfloat16.
        weights = (q @ k.transpose(-1, -2)) * (d // self.heads) ** -0.5
        weights = weights.masked_fill(~mask[:, None, None], LOWEST).softmax(dim=-1).to(v.dtype)
        x = x + self.dropped(self.out((weights @ v).transpose(1, 2).reshape(b, t, d)))
        return x + self.dropped(self.down(functional.gelu(self.up(self.between(x)))))


class Network(Part):
    """A side network beside the frozen encoder (Sung et al. 2022, ladder side tuning): nothing is learned inside it.

    The states of several layers are projected to a narrow width; each token is shown what of the question it is like
    (aligned question embedding: Chen et al. 2017, DrQA; Seo et al. 2017, BiDAF) and clues that no frozen state holds:
    whether its word is in the question, how rare, how much of the question is near. Transformer layers mix the joint
    sequence; the first token's scores are those of no answer (Devlin et al. 2018). About 0.6 M weights and 1.3 MFLOP
    a token at 4 x 384 states and width 128, 6 % of what a six-layer encoder spends.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.shape = shape
        self.project = nn.Linear(shape.layers * shape.dimension, width)
        self.align = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.align.weight)
        self.mix = nn.Linear(3 * width + shape.clues, width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 2)

    def drop(self, share: float) -> None:
        """How much is dropped while training."""
        for part in self.modules():
            if isinstance(part, Part):
                part.dropout = share

    def forward(self, batch: Batch, clues: torch.Tensor) -> torch.Tensor:
        """Scores [b, t, 2] of a start and an end at each token; `clues` is from the function of that name."""
        h = self.project(self.dropped(batch.states.flatten(2)))
        asked = h[:, : batch.asks.shape[1]]
        likeness = self.align(h) @ asked.transpose(1, 2) / math.sqrt(self.shape.width)
        likeness = likeness.masked_fill(~batch.asks[:, None], LOWEST)
        aligned = likeness.softmax(dim=-1) @ asked
        seen = torch.cat([h, aligned, h * aligned, clues.to(h.dtype)], dim=-1)
        h = self.dropped(functional.gelu(self.mix(seen)))
        mask = batch.ids >= 0
        for block in self.blocks:
            h = block(h, mask)
        scores: torch.Tensor = self.out(self.norm(h))
        return scores


def clues(batch: Batch, alike: Sequence[int]) -> torch.Tensor:
    """What each token has to do with the question, float [b, t, clues]: nothing here is learned.

    Its word's rarity; whether the question has it; both together; the share of the question's words, by rarity, that
    is near; and for each layer of `alike` its greatest cosine with a word of the question, and that share again with
    cosines instead of equal words. Cost: t * q comparisons.
    """
    size = batch.asks.shape[1]
    worth = batch.rarity[:, :size] * batch.asks
    telling = worth > 0
    total = worth.sum(dim=1).clamp_min(1e-3)[:, None]
    equal = batch.ids[:, :, None] == batch.ids[:, None, :size]
    found = (equal & batch.inside[:, :, None] & telling[:, None]).to(batch.states.dtype)
    any_found = found.amax(dim=2)
    columns = [batch.rarity, any_found, any_found * batch.rarity]
    columns += [(_near(found, radius) * worth[:, None]).sum(dim=2) / total for radius in NEAR]
    for layer in alike:
        states = functional.normalize(batch.states[:, :, layer], dim=-1)
        cosine = states @ states[:, :size].transpose(1, 2)
        cosine = (cosine * telling[:, None] * batch.inside[:, :, None]).clamp_min(0.0)
        columns.append(cosine.amax(dim=2))
        columns.append((_near(cosine, NEAR_ALIKE) * worth[:, None]).sum(dim=2) / total)
    return torch.stack(columns, dim=2)


def _near(found: torch.Tensor, radius: int) -> torch.Tensor:
    """The greatest value within `radius` tokens, [b, t, q]."""
    return functional.max_pool1d(found.transpose(1, 2), 2 * radius + 1, 1, radius).transpose(1, 2)
