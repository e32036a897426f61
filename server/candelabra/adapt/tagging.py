"""Tags of words and spans of texts: one made of the other, and how well found spans meet the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from candelabra.adapt.scores import wilson
from candelabra.errors import InvalidArgument
from candelabra.types import Example, Span

HIT, FOUND, TRUE = range(3)
"""Last axis of counts: spans found that are true, spans found, true spans."""


def default_layers(layers: Sequence[int]) -> tuple[int, ...]:
    """Four of the layers, from the embeddings to the last: what a tagger reads unless told otherwise.

    On validation rows of ncbi_disease and finer_ord, 1,500 to learn from and one seed, these were 0.006 to 0.009 of
    entity F1 above the last four: little beside chance, but the embedding does say which word it was.
    """
    spread = np.linspace(0, len(layers) - 1, min(4, len(layers))).round().astype(int)
    return tuple(sorted(layers)[at] for at in spread)


def example_of_tags(tokens: Sequence[str], tags: Sequence[str], index: int) -> Example:
    """A text and its spans from tokens with BIO tags; the tokens are joined by spaces.

    Raises InvalidArgument, with the row and the reason, for tags that are no BIO sequence over the tokens.
    """
    where = f"examples[{index}]"
    if len(tokens) != len(tags):
        raise InvalidArgument(
            f"{where} has {len(tokens)} tokens and {len(tags)} tags: give each token one tag.", field=f"{where}.tags"
        )
    begins = np.cumsum([0, *(len(token) + 1 for token in tokens)])
    found: list[Span] = []
    before = ""
    for at, tag in enumerate(tags):
        prefix, _, kind = tag.partition("-")
        if tag != "O" and (prefix not in ("B", "I") or not kind):
            raise InvalidArgument(
                f"{where} has the tag {tag[:40]!r} at token {at}: a tag is O, B-TYPE or I-TYPE.", field=f"{where}.tags"
            )
        end = int(begins[at]) + len(tokens[at])
        if prefix == "I":
            if kind != before:
                raise InvalidArgument(
                    f"{where} has the tag {tag[:40]!r} at token {at} behind {repr(before[:40]) if before else 'none'}: "
                    "an entity begins with B-TYPE and goes on with I- of the same type.",
                    field=f"{where}.tags",
                )
            found[-1] = Span(found[-1].start, end, kind)
        elif prefix == "B":
            found.append(Span(int(begins[at]), end, kind))
        before = kind
    return Example(" ".join(tokens), spans=tuple(found))


def word_tags(table: np.ndarray, spans: Sequence[Span], types: Sequence[str]) -> tuple[np.ndarray, int]:
    """Tags int64 [words] of words with begin and end [words, 2], and how many spans do not end where words do.

    Such a span takes the whole of the words that it touches. Where spans share a word the earlier one has it.
    """
    place = {kind: at for at, kind in enumerate(types)}
    tags = np.zeros(len(table), np.int64)
    cut = 0
    for span in sorted(spans):
        touched = np.flatnonzero((table[:, 0] < span.end) & (table[:, 1] > span.start))
        if not len(touched):
            continue
        cut += int(table[touched[0], 0] != span.start or table[touched[-1], 1] != span.end)
        free = touched[tags[touched] == 0]
        if len(free):
            tags[free] = 2 + 2 * place[span.label]
            tags[free[0]] = 1 + 2 * place[span.label]
    return tags, cut


def counts(true: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]], types: Sequence[str]) -> np.ndarray:
    """int64 [rows, types, 3]: of each row and type the spans that are right, found, and true.

    Right is a span of the same type, begin and end (strict, as seqeval counts).
    """
    place = {kind: at for at, kind in enumerate(types)}
    table = np.zeros((len(true), len(types), 3), np.int64)
    for row, (wanted, given) in enumerate(zip(map(set, true), map(set, found), strict=True)):
        for kind, spans in ((HIT, wanted & given), (FOUND, given), (TRUE, wanted)):
            for span in spans:
                if span.label in place:
                    table[row, place[span.label], kind] += 1
    return table


def f1(table: np.ndarray) -> np.ndarray:
    """Micro F1 of counts [..., types, 3]; nothing to find and nothing found is 0."""
    hit, found, true = np.moveaxis(table.sum(axis=-2).astype(float), -1, 0)
    ratio: np.ndarray = np.divide(2 * hit, found + true, out=np.zeros_like(hit), where=found + true > 0)
    return ratio


def type_reports(table: np.ndarray, types: Sequence[str]) -> list[dict[str, object]]:
    """Precision, recall, F1 and support of each entity type, from counts [rows, types, 3]."""
    reports: list[dict[str, object]] = []
    for label, (hit, found, true) in zip(types, table.sum(axis=0).tolist(), strict=True):
        low, high = wilson(hit, true)
        reports.append(
            {
                "label": label,
                "precision": hit / found if found else 0.0,
                "recall": hit / true if true else 0.0,
                "f1": 2 * hit / (found + true) if found + true else 0.0,
                "recall_low": low,
                "recall_high": high,
                "support": true,
            }
        )
    return reports
