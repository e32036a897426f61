"""Made-up sentences with drugs and places in them, and token states that tell most of it: for tests of tagging."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from candelabra.adapt.training import TokenStates, TrainingSet
from candelabra.types import Span

DIMENSION = 8
LAYERS = (0, 2)
TYPES = ("drug", "place")
BEGINNINGS = ("Sal", "Cor", "Mire", "Tal", "Os", "Que", "Bre", "Luxo", "Har", "Ell")
ENDINGS = {
    "drug": ("vane", "betol", "nox", "vex", "trine", "nafil"),
    "place": ("wick", "moor", "well", "ery", " Dover"),
}
FILLERS = ("the", "patient", "took", "with", "water", "and", "left", "from", "after", "noon", "quietly", "again")


def tagged(rows: int = 120, seed: int = 0, noise: float = 0.3, first: int = 0, window: int = 0) -> TrainingSet:
    """Each word's states are a fixed vector of the word, pulled to its type's, and noise; every word is two tokens.

    `window` > 0 cuts longer sentences into windows of so many tokens that overlap by half.
    """
    random = np.random.default_rng([seed, first])
    texts, spans = [], []
    values, windows, offsets, words = [], [], [], []
    begin = 0
    for row in range(rows):
        text, mine = _sentence(random)
        texts.append(text)
        spans.append(mine)
        tokens = _tokens(text)
        vectors = np.stack([_vector(text[a:b], mine, a) for _, a, b in tokens])
        vectors = vectors + noise * random.normal(size=vectors.shape)
        size = window or len(tokens)
        for at in range(0, max(1, len(tokens) - size // 2), max(1, size // 2)):
            part = tokens[at : at + size]
            edge = np.zeros((1, len(LAYERS), DIMENSION))
            values.append(np.concatenate([edge, vectors[at : at + size], edge]).astype(np.float16))
            offsets.append(np.array([(-1, -1), *((a, b) for _, a, b in part), (-1, -1)], np.int32))
            words.append(np.array([-1, *(word for word, _, _ in part), -1], np.int32))
            windows.append((row, begin, begin + len(part) + 2, 0))
            begin += len(part) + 2
    states = TokenStates(
        np.concatenate(values), LAYERS, np.array(windows, np.int64), np.concatenate(offsets), np.concatenate(words)
    )
    return TrainingSet(
        texts=texts,
        features=np.zeros((rows, 0, DIMENSION), np.float32),
        slots=(),
        labels=TYPES,
        targets=np.zeros(0),
        rows=np.arange(first, first + rows, dtype=np.uint64),
        states=states,
        spans=spans,
    )


def _sentence(random: np.random.Generator) -> tuple[str, tuple[Span, ...]]:
    text, spans = "", []
    for _ in range(int(random.integers(5, 12))):
        draw = random.random()
        kind = "drug" if draw < 0.15 else "place" if draw < 0.3 else ""
        word = _name(kind, random) if kind else str(random.choice(FILLERS))
        if kind:
            spans.append(Span(len(text), len(text) + len(word), kind))
        text += word + " "
    return text.rstrip(), tuple(spans)


def _name(kind: str, random: np.random.Generator) -> str:
    """One of some hundred names, so that looking them up finds a part of them only."""
    middle = str(random.choice(("", "ta", "lo", "ri", "ne", "mu")))
    return f"{random.choice(BEGINNINGS)}{middle}{random.choice(ENDINGS[kind])}"


def _tokens(text: str) -> list[tuple[int, int, int]]:
    """Word, begin and end of each token: the first two letters of a word, and the rest."""
    found, at = [], 0
    for number, word in enumerate(text.split()):
        begin = text.index(word, at)
        at = begin + len(word)
        found += [(number, begin, begin + 2), (number, begin + 2, at)]
    return found


def _vector(piece: str, spans: tuple[Span, ...], begin: int) -> np.ndarray:
    kind = next((span.label for span in spans if span.start <= begin < span.end), "")
    parts = [_random(f"{layer} {piece}") + 1.5 * _random(f"{layer} type {kind}") for layer in LAYERS]
    return np.stack(parts)


def _random(word: str) -> np.ndarray:
    seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
    made: np.ndarray = np.random.default_rng(seed).normal(size=DIMENSION)
    return made
