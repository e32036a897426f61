"""What the demo learns from and is asked: sentences written for it, or the real datasets of a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from candelabra_client import Example

HERE = Path(__file__).parent / "examples"


@dataclass(frozen=True, slots=True)
class Lesson:
    """One domain's head, and what it learns from. `test` and `floors` are empty for the written sentences."""

    domain: str
    task: str
    head: str
    train: Sequence[Example]
    test: Sequence[Example] = ()
    floors: Mapping[str, float] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    domain: str
    """Whose field it is from; every head is asked about it."""


@dataclass(frozen=True, slots=True)
class Material:
    lessons: Sequence[Lesson]
    more: Sequence[Example]
    """For the second version of the first lesson's head."""
    questions: Sequence[Question]


_HEADS = (
    ("finance", "sentiment", "bank/news", "financial_phrasebank"),
    ("medical", "adverse_event", "clinic/safety", "ade_corpus"),
    ("legal", "clause_type", "firm/clauses", "cuad_clauses"),
)
# Majority class, and TF-IDF + logistic regression, on the test splits: used where a dataset's README names none.
_FLOORS = {"financial_phrasebank": (0.593, 0.768), "ade_corpus": (0.805, 0.871), "cuad_clauses": (0.079, 0.846)}


def written() -> Material:
    """The sentences beside this file."""
    lessons = [
        Lesson(domain, task, head, _labelled(HERE / f"{domain}.jsonl"), source=f"demo/examples/{domain}.jsonl")
        for domain, task, head, _ in _HEADS
    ]
    questions = [Question(str(row["text"]), str(row["domain"])) for row in _rows(HERE / "questions.jsonl")]
    return Material(lessons, _labelled(HERE / "finance_more.jsonl"), questions)


def real(folder: Path) -> Material:
    """The datasets under `folder`, learned from `train` and asked about `test`."""
    lessons = []
    for domain, task, head, name in _HEADS:
        place = folder / domain / name
        lesson = Lesson(
            domain, task, head, _labelled(place / "train.jsonl"), _labelled(place / "test.jsonl"), _floors(place),
            f"{domain}/{name}",
        )  # fmt: skip
        lessons.append(lesson)
    more = _labelled(folder / "finance" / "financial_phrasebank" / "validation.jsonl")
    # Two texts of each domain's test split, from different places of the file.
    questions = [
        Question(lesson.test[at].text, lesson.domain) for lesson in lessons for at in (7, len(lesson.test) - 8)
    ]
    return Material(lessons, more, questions)


def _labelled(path: Path) -> list[Example]:
    return [Example(str(row["text"]), (str(row["label"]),)) for row in _rows(path)]


def _rows(path: Path) -> list[dict[str, object]]:
    # Only \n ends a line: some texts hold other line separators.
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def _floors(place: Path) -> Mapping[str, float]:
    """Accuracy of the two simple methods, as the dataset's README says."""
    readme = place / "README.md"
    text = readme.read_text("utf-8") if readme.is_file() else ""
    found = {}
    for at, (name, start) in enumerate((("majority", "majority class"), ("tfidf", "TF-IDF"))):
        row = re.search(rf"^\| {start}[^|]*accuracy \| ([0-9.]+) \|", text, re.MULTILINE)
        found[name] = float(row[1]) if row else _FLOORS[place.name][at]
    return found
