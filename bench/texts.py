"""Texts for load: plausible sentences of many lengths, none of them the same. Made here, not taken from anywhere."""

from __future__ import annotations

import random

SUBJECTS = [
    "the supplier",
    "our regional office",
    "a patient on the ward",
    "the tenant",
    "an auditor",
    "the board",
    "this pharmacy",
    "the bank",
]
VERBS = ["reported", "declined", "confirmed", "renewed", "questioned", "postponed", "reviewed", "withdrew"]
OBJECTS = [
    "the delivery schedule",
    "an unexpected fee",
    "a mild headache",
    "the second clause",
    "quarterly revenue",
    "the deposit",
    "a change of dosage",
    "the lease",
]
TAILS = [
    "after a long call",
    "without giving a reason",
    "despite the earlier promise",
    "before the holiday",
    "in a short letter",
    "as soon as the figures were in",
    "because nobody had asked",
    "during the second visit",
]


def sentence(chance: random.Random, number: int, words: int = 12) -> str:
    """About `words` words; `number` makes it unlike every other."""
    parts: list[str] = []
    while sum(len(part.split()) for part in parts) < words:
        parts.append(
            f"{chance.choice(SUBJECTS)} {chance.choice(VERBS)} {chance.choice(OBJECTS)} {chance.choice(TAILS)}"
        )
    return f"{', and '.join(parts)[: words * 9]} ({number})."


def mixed(count: int, seed: int = 0) -> list[str]:
    """Texts of 8 to 120 tokens: 60 % up to 32, 30 % up to 64, 10 % up to 120."""
    chance = random.Random(seed)
    spans = chance.choices(((5, 20), (21, 42), (43, 80)), (60, 30, 10), k=count)
    return [sentence(chance, number, chance.randint(*span)) for number, span in enumerate(spans)]


def short(count: int, seed: int = 0) -> list[str]:
    """Texts of about 20 tokens."""
    chance = random.Random(seed)
    return [sentence(chance, number) for number in range(count)]
