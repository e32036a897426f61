"""The trained part of a tagger: from states and letters of words to scores of tags."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from candelabra.heads.bodies.crf import FORBIDDEN, forbidden, tag_count
from candelabra.heads.bodies.spelling import CODES


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes: `width` is layers * dimension of the states, `types` the entity types."""

    width: int
    types: int
    rank: int = 256
    hidden: int = 128
    letter: int = 24
    filters: int = 64

    def about(self) -> dict[str, int]:
        return asdict(self)


class Network(nn.Module):
    """Concatenated layers -> low rank, beside a convolution over letters -> BiLSTM -> tags, with a CRF's moves.

    The features are Devlin et al. 2018 (table 7, concatenated layers) and Ma and Hovy 2016 (letters, BiLSTM, CRF).
    About 1.1 M weights and 2 MFLOP a word at 4 x 384 states, a tenth of what a six-layer encoder spends on it.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        tags = tag_count(shape.types)
        self.shape = shape
        self.project = nn.Linear(shape.width, shape.rank)
        self.letters = nn.Embedding(CODES, shape.letter, padding_idx=0)
        self.filters = nn.Conv1d(shape.letter, shape.filters, 3, padding=1)
        # Two one-way networks over padded rows: torch walks packed rows several times slower when it learns.
        self.ahead = nn.LSTM(shape.rank + shape.filters, shape.hidden)
        self.behind = nn.LSTM(shape.rank + shape.filters, shape.hidden)
        self.out = nn.Linear(2 * shape.hidden, tags)
        self.moves = nn.Parameter(torch.zeros(tags, tags))
        self.first = nn.Parameter(torch.zeros(tags))
        self.last = nn.Parameter(torch.zeros(tags))
        self.dropout = 0.0
        self.state_dropout = 0.0
        self.word_dropout = 0.0

    def forward(self, states: torch.Tensor, letters: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Scores [sequences, longest, tags] of float states [words, width] and int64 letters [words, LETTERS].

        The words of all sequences lie one after the other; `lengths` int64 [sequences] says how many each has.
        Sequences do not touch each other.
        """
        if self.training:
            states = self._dropped(states, lengths)
        seen = functional.gelu(self.project(states))
        both = functional.dropout(torch.cat([seen, self._spelt(letters)], 1), self.dropout, self.training)
        longest = int(lengths.max())
        place = torch.arange(longest)[:, None]
        inside = place < lengths
        padded = both.new_zeros(len(lengths), longest, both.shape[1])
        padded[inside.T] = both
        padded = padded.transpose(0, 1).contiguous()
        # Padding stays behind the words whichever way a row is read, so that it never reaches them.
        turned = torch.where(inside, lengths - 1 - place, place)
        back = self.behind(padded[turned, torch.arange(len(lengths))])[0][turned, torch.arange(len(lengths))]
        read = torch.cat([self.ahead(padded)[0], back], 2).transpose(0, 1)
        tagged: torch.Tensor = self.out(functional.dropout(read, self.dropout, self.training))
        return tagged

    def loss(self, scores: torch.Tensor, tags: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Mean negative log likelihood a word of tags int64 [sequences, longest]."""
        moves, first = self.legal()
        inside = (torch.arange(scores.shape[1]) < lengths[:, None]).to(scores.dtype)
        every = torch.arange(len(tags))
        own = scores.gather(2, tags[:, :, None]).squeeze(2) * inside
        path = own.sum(1) + first[tags[:, 0]] + self.last[tags[every, lengths - 1]]
        path = path + (moves[tags[:, :-1], tags[:, 1:]] * inside[:, 1:]).sum(1)
        total = first + scores[:, 0]
        for at in range(1, scores.shape[1]):
            further = torch.logsumexp(total[:, :, None] + moves, 1) + scores[:, at]
            total = torch.where(inside[:, at, None] > 0, further, total)
        return (torch.logsumexp(total + self.last, 1) - path).sum() / inside.sum()

    def legal(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of moves and of first tags with what BIO forbids ruled out."""
        moves, first = (torch.from_numpy(bad) for bad in forbidden(self.shape.types))
        return self.moves.masked_fill(moves, FORBIDDEN), self.first.masked_fill(first, FORBIDDEN)

    def _spelt(self, letters: torch.Tensor) -> torch.Tensor:
        """What the letters of each word say. Learning reads each spelling once, however often a batch has it."""
        which = None
        if self.training:
            letters, which = torch.unique(letters, dim=0, return_inverse=True)
        said = functional.relu(self.filters(self.letters(letters).transpose(1, 2))).amax(2)
        return said if which is None else said[which]

    def _dropped(self, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Some columns are hidden for a whole sequence, and some words altogether, so that the rest must do."""
        keep = (torch.rand(len(lengths), states.shape[1]) >= self.state_dropout) / (1 - self.state_dropout)
        hidden = torch.rand(len(states), 1) < self.word_dropout
        return (states * keep.repeat_interleave(lengths, 0)).masked_fill_(hidden, 0.0)

    def tensors(self) -> dict[str, np.ndarray]:
        return {name: value.numpy().copy() for name, value in self.state_dict().items()}
