"""Answers and examples of them: SQuAD's scores, the tokens that an answer covers, and what can be wrong."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

import numpy as np

from candelabra.types import Example, Span

ARTICLES = re.compile(r"\b(a|an|the)\b")
BARE = str.maketrans("", "", string.punctuation)
SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+|\n+")


class Fault(StrEnum):
    """Why an example cannot be learned from."""

    EMPTY_QUESTION = "empty_question"
    EMPTY_TEXT = "empty_text"
    OUTSIDE_TEXT = "answer_outside_text"
    EMPTY_ANSWER = "empty_answer"
    NOT_AT_OFFSET = "answer_not_at_offset"


REASONS = {
    Fault.EMPTY_QUESTION: "The question has no visible character.",
    Fault.EMPTY_TEXT: "The text has no visible character.",
    Fault.OUTSIDE_TEXT: "An answer's offsets lie outside the text: they count code points.",
    Fault.EMPTY_ANSWER: "An answer has no visible character.",
    Fault.NOT_AT_OFFSET: "The text does not hold the answer at its offset: offsets count code points.",
}
"""A sentence for people a fault."""


def fault(example: Example, answers: Sequence[str] = ()) -> Fault | None:
    """What is wrong with an example, if anything. `answers`, where the caller has them, are the words of its spans."""
    if not example.question.strip():
        return Fault.EMPTY_QUESTION
    if not example.text.strip():
        return Fault.EMPTY_TEXT
    for span in example.spans:
        if not 0 <= span.start <= span.end <= len(example.text):
            return Fault.OUTSIDE_TEXT
        if not example.text[span.start : span.end].strip():
            return Fault.EMPTY_ANSWER
    for span, answer in zip(example.spans, answers, strict=False):
        if example.text[span.start : span.end] != answer:
            return Fault.NOT_AT_OFFSET
    return None


def normal_words(text: str) -> list[str]:
    """Words without case, punctuation and articles, as SQuAD's own script has them (Rajpurkar et al. 2016)."""
    return ARTICLES.sub(" ", text.lower().translate(BARE)).split()


def token_f1(answer: str, truths: Iterable[str]) -> float:
    """Share of words in common with the nearest true answer. No true answer: 1 for the empty answer, else 0."""
    ours = normal_words(answer)
    return max((_f1(ours, normal_words(truth)) for truth in truths), default=float(not answer))


def exact_match(answer: str, truths: Iterable[str]) -> float:
    """1 where the words of some true answer are given and no others. No true answer: the empty answer is right."""
    ours = normal_words(answer)
    return max((float(ours == normal_words(truth)) for truth in truths), default=float(not answer))


def _f1(ours: list[str], theirs: list[str]) -> float:
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs))


def aligned(spans: Sequence[Span], offsets: np.ndarray, words: np.ndarray) -> list[tuple[int, int]]:
    """First and last token of each span that lies wholly in a window, grown to whole words; in order, each once.

    `offsets` int [t, 2] and `words` int [t] are as in engine.window.Window. Spans that the window shows in part, or
    of characters that no token stands for, are left out.
    """
    found = set()
    for span in spans:
        inside = np.flatnonzero((offsets[:, 0] >= 0) & (offsets[:, 1] > span.start) & (offsets[:, 0] < span.end))
        if len(inside) == 0:
            continue
        first, last = int(inside[0]), int(inside[-1])
        shown = np.flatnonzero(offsets[:, 0] >= 0)
        cut = (first == shown[0] and span.start < offsets[first, 0]) or (
            last == shown[-1] and span.end > offsets[last, 1]
        )
        if cut:
            continue
        while first > 0 and words[first - 1] == words[first]:
            first -= 1
        while last + 1 < len(words) and words[last + 1] == words[last]:
            last += 1
        found.add((first, last))
    return sorted(found)


def sentences(text: str) -> list[Span]:
    """Sentences by their full stops: rough, and the same for everyone."""
    ends = [match.end() for match in SENTENCE_END.finditer(text)] + [len(text)]
    spans = []
    start = 0
    for end in ends:
        piece = text[start:end]
        if piece.strip():
            low = start + len(piece) - len(piece.lstrip())
            spans.append(Span(low, start + len(piece.rstrip()), ""))
        start = end
    return spans


def overlapping_sentence(text: str, question: str) -> Span | None:
    """The sentence with most words of the question, the first of equals; None for a text without a word."""
    wanted = set(normal_words(question))
    return max(
        sentences(text),
        key=lambda span: len(wanted & set(normal_words(text[span.start : span.end]))),
        default=None,
    )
