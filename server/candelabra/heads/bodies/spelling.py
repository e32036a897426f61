"""How a word is written: what an uncased encoder cannot see and names live by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LETTERS = 16
"""Letters of a word that are looked at: its first eight and its last eight where it has more."""
CODES = 100
"""Codes a letter can have: 0 none, 1-95 printable ASCII, then other upper case, lower case, digits and the rest."""


def spelled(words: Sequence[str]) -> np.ndarray:
    """Letter codes uint8 [words, LETTERS]. No part of it depends on spaces around the words, because examples that
    come as tokens have more of them than texts in the wild."""
    codes = np.zeros((len(words), LETTERS), np.uint8)
    for row, word in enumerate(words):
        if len(word) > LETTERS:
            word = word[: LETTERS // 2] + word[-LETTERS // 2 :]
        codes[row, : len(word)] = [_code(letter) for letter in word]
    return codes


def _code(letter: str) -> int:
    at = ord(letter)
    if 32 <= at < 127:
        return at - 31
    if letter.isupper():
        return 96
    if letter.isdigit():
        return 98
    return 97 if letter.isalpha() else 99
