"""Words of windows with their tags, as a tagger learns from them, read from token states where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from candelabra.adapt import tagging
from candelabra.adapt.training import TokenStates, TrainingSet
from candelabra.engine.row import Inputs
from candelabra.engine.window import Window
from candelabra.heads.bodies.spelling import spelled
from candelabra.heads.bodies.tagger import Tagger, word_states, word_table

AT_ONCE = 64
"""Rows whose states are in memory at a time when a tagger is run."""


@dataclass(frozen=True, eq=False)
class Line:
    """The words of one window: `table` as word_table gives it, counted from the token `begin` of all states."""

    row: int
    begin: int
    table: np.ndarray
    letters: np.ndarray
    tags: np.ndarray

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True, eq=False)
class Batch:
    """float32 [words, width], int64 [words, LETTERS], int64 [lines], int64 [lines, longest]."""

    states: torch.Tensor
    letters: torch.Tensor
    lengths: torch.Tensor
    tags: torch.Tensor


def windows_of(states: TokenStates, row: int) -> tuple[Window, ...]:
    """The windows of a row as decoding needs them; their ids are not known any more."""
    return tuple(
        Window(np.zeros(end - begin, np.int32), second, states.offsets[begin:end], states.words[begin:end])
        for begin, end, second in states.of(row)
    )


def lines_of(data: TrainingSet, states: TokenStates) -> tuple[list[Line], int]:
    """Every window that has a word, and how many gold spans do not begin and end where words do."""
    lines: list[Line] = []
    cut = 0
    for row, text in enumerate(data.texts):
        tables = []
        for window, (begin, _, _) in zip(windows_of(states, row), states.of(row), strict=True):
            table = word_table(window)
            if len(table):
                tags, _ = tagging.word_tags(table[:, 2:], data.spans[row], data.labels)
                lines.append(Line(row, begin, table, spelled([text[a:b] for a, b in table[:, 2:]]), tags))
                tables.append(table[:, 2:])
        if tables:
            # Over the words of all windows: a span that one window's edge cuts is whole in the next.
            words = np.unique(np.concatenate(tables), axis=0)
            cut += tagging.word_tags(words, data.spans[row], data.labels)[1]
    return lines, cut


def batches(lines: Sequence[Line], size: int, random: np.random.Generator) -> Iterator[list[Line]]:
    """Lines alike in length together, so that little is padding; the batches in random order."""
    order = np.argsort(np.array([len(line) for line in lines]) + random.uniform(0, 5, len(lines)))
    parts = [order[at : at + size] for at in range(0, len(order), size)]
    for at in random.permutation(len(parts)):
        yield [lines[i] for i in parts[at]]


def batch_of(lines: Sequence[Line], states: TokenStates, layers: Sequence[int]) -> Batch:
    """Reads the states of these lines only: they may be far more than fits into memory."""
    at = [states.layers.index(layer) for layer in layers]
    vectors = []
    for line in lines:
        part = states.values[line.begin : line.begin + int(line.table[-1, 1])]
        vectors.append(word_states(part if len(at) == part.shape[1] else part[:, at], line.table))
    lengths = torch.tensor([len(line) for line in lines])
    tags = torch.zeros(len(lines), int(lengths.max()), dtype=torch.int64)
    for row, line in enumerate(lines):
        tags[row, : len(line)] = torch.from_numpy(line.tags)
    letters = np.concatenate([line.letters for line in lines]).astype(np.int64)
    return Batch(torch.from_numpy(np.concatenate(vectors)), torch.from_numpy(letters), lengths, tags)


def emissions(
    body: Tagger, texts: Sequence[str], states: TokenStates, rows: Sequence[int]
) -> list[tuple[np.ndarray, ...]]:
    """What the body says of these rows; `states` must hold the layers that it reads."""
    at = [states.layers.index(layer) for layer in body.layers]
    found: list[tuple[np.ndarray, ...]] = []
    for begin in range(0, len(rows), AT_ONCE):
        some = rows[begin : begin + AT_ONCE]
        inputs = Inputs(
            features=np.zeros((len(some), 0), np.float32),
            states=[[states.values[a:b][:, at].astype(np.float32) for a, b, _ in states.of(row)] for row in some],
            texts=[texts[row] for row in some],
            windows=[windows_of(states, row) for row in some],
        )
        found += body.logits(inputs)
    return found
