"""Examples as rows: checked and counted before the transaction, and read back as they were."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from candelabra.errors import DuplicateId, InvalidArgument
from candelabra.registry.columns import storable
from candelabra.types import Example, Span

ID_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples that were checked and counted before the transaction, which is thereby short.

    `rows` are the values of the columns that an example fills, and `ids` says at which row each id comes first.
    """

    rows: Sequence[dict[str, Any]]
    label_counts: Counter[str]
    digest: str
    ids: dict[str, int]

    @classmethod
    def of(cls, examples: Iterable[Example], *, ids_once: bool = True) -> Batch:
        rows: list[dict[str, Any]] = []
        counts, digest, ids = Counter[str](), hashlib.sha256(), dict[str, int]()
        for index, item in enumerate(examples):
            rows.append(to_row(item))
            counts.update(labels_of(item))
            if item.id and ids.setdefault(item.id, index) != index and ids_once:
                raise duplicate(item.id, index, f"which examples[{ids[item.id]}] has already")
            _check_id(item.id, index)
            digest.update(content(rows[-1]))
        return cls(rows, counts, digest.hexdigest(), ids)


def to_row(item: Example) -> dict[str, Any]:
    """The columns of an example, without its place."""
    other = item.text_pair or item.question
    return {
        "text": storable(item.text),
        "labels": [storable(label) for label in item.labels],
        "more": _more(item) or None,
        "id": storable(item.id) or None,
        "text_key": key(item.text),
        "other_key": key(other) if other else None,
    }


def to_example(row: Row[Any]) -> Example:
    more = row.more
    if more is None:
        return Example(text=row.text, labels=tuple(row.labels), id=row.id or "")
    return Example(
        text=row.text,
        labels=tuple(row.labels),
        text_pair=more.get("text_pair", ""),
        question=more.get("question", ""),
        target=more.get("target"),
        spans=tuple(Span(*span) for span in more.get("spans", ())),
        soft=more.get("soft", {}),
        votes=tuple((voter, label) for voter, label in more.get("votes", ())),
        id=row.id or "",
        tags=tuple(more.get("tags", ())),
    )


def labels_of(item: Example) -> set[str]:
    """What a dataset counts: the labels of a row, and the types of its named entities."""
    types = {tag[2:] for tag in item.tags if tag[:2] in ("B-", "I-")}
    return {*item.labels, *types, *(span.label for span in item.spans if span.label)}


def key(text: str) -> str:
    """By which a text is found again: equal for texts that differ only in the white space around them."""
    return hashlib.blake2b(storable(text).strip().encode(), digest_size=16).hexdigest()


def content(row: dict[str, Any]) -> bytes:
    """What tells one row from another, in a digest of several."""
    rest = [part for part in (row["more"], row["id"]) if part]
    return json.dumps([row["text"], row["labels"], *rest]).encode() + b"\n"


def duplicate(id_: str, index: int, why: str) -> DuplicateId:
    return DuplicateId(
        f"examples[{index}] has the id {id_[:80]!r}, {why}: an id names one row of a dataset.",
        field=f"examples[{index}].id",
        row=index,
        id=id_[:80],
    )


def _check_id(id_: str, index: int) -> None:
    if len(id_) > ID_LIMIT:
        raise InvalidArgument(
            f"The id of examples[{index}] has {len(id_)} characters: use at most {ID_LIMIT}, for example a UUID.",
            field=f"examples[{index}].id",
        )


def _more(item: Example) -> dict[str, Any]:
    """What only some tasks have, without what is empty."""
    made = {
        "text_pair": storable(item.text_pair),
        "question": storable(item.question),
        "target": None if item.target is None else float(item.target),
        "spans": [[span.start, span.end, storable(span.label)] for span in item.spans],
        "soft": {storable(label): float(weight) for label, weight in item.soft.items()},
        "tags": [storable(tag) for tag in item.tags],
        "votes": [[storable(voter), storable(label)] for voter, label in item.votes],
    }
    return {name: value for name, value in made.items() if value not in (None, "", [], {})}
