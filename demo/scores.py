"""Test scores through the served API: every text of a test split is asked, the likeliest label counts."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from candelabra_client import Answers, Client
from demo.material import Lesson

CALLS = 4
TEXTS = 64
POSITIVE = "adverse_event"


@dataclass(frozen=True, slots=True)
class Scored:
    lesson: Lesson
    accuracy: float
    seconds: float
    recall: float | None
    """Of adverse events at the domain's own threshold; None for other tasks."""


def score(client: Client, lesson: Lesson) -> Scored:
    began = time.monotonic()
    parts = [lesson.test[start : start + TEXTS] for start in range(0, len(lesson.test), TEXTS)]

    def asked(at: int) -> Answers:
        return client.predict([example.text for example in parts[at]], lesson.head, timeout=300)

    with ThreadPoolExecutor(CALLS) as pool:
        answers = [answer[0] for found in pool.map(asked, range(len(parts))) for answer in found]
    truth = [example.labels[0] for example in lesson.test]
    right = sum(next(iter(answer.scores)) == label for answer, label in zip(answers, truth, strict=True))
    decided = [answer.label for answer, label in zip(answers, truth, strict=True) if label == POSITIVE]
    recall = decided.count(POSITIVE) / len(decided) if decided else None
    return Scored(lesson, right / len(truth), time.monotonic() - began, recall)
