"""The demo's sentences are enough, distinct and labelled as their domains say; floors are read from READMEs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from candelabra.discovery import load


@pytest.fixture(autouse=True)
def demo_on_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(root)
    yield
    for name in [name for name in sys.modules if name == "demo" or name.startswith("demo.")]:
        del sys.modules[name]


def test_sixty_distinct_sentences_a_domain_and_none_label_rare() -> None:
    from demo import material

    chosen = material.written()
    assert [lesson.domain for lesson in chosen.lessons] == ["finance", "medical", "legal"]
    every = [example.text for lesson in chosen.lessons for example in lesson.train]
    every += [example.text for example in chosen.more] + [question.text for question in chosen.questions]
    assert len(set(every)) == len(every)
    for lesson in chosen.lessons:
        counts = Counter(label for example in lesson.train for label in example.labels)
        assert counts.total() >= 60
        assert min(counts.values()) >= 14


def test_labels_are_those_of_the_domains() -> None:
    from demo import material

    domains = load()
    chosen = material.written()
    for lesson in chosen.lessons:
        task = next(task for task in domains[lesson.domain].domain.tasks if task.name == lesson.task)
        said = {label for example in lesson.train for label in example.labels}
        assert said == (set(task.labels) or said)
    assert {example.labels[0] for example in chosen.more} == {"negative", "neutral", "positive"}


def test_no_two_sentences_share_their_beginning() -> None:
    """Written one by one: templates would repeat their first words."""
    from demo import material

    for lesson in material.written().lessons:
        starts = Counter(" ".join(example.text.split()[:4]) for example in lesson.train)
        assert max(starts.values()) <= 2, starts.most_common(3)


def test_real_datasets_bring_their_floors(tmp_path: Path) -> None:
    from demo import material

    for domain, _, _, name in material._HEADS:
        place = tmp_path / domain / name
        place.mkdir(parents=True)
        rows = [
            json.dumps({"text": f"sentence {at}\u2028 of {name}", "label": "a"}, ensure_ascii=False) for at in range(20)
        ]
        for split in ("train", "validation", "test"):
            (place / f"{split}.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    (tmp_path / "finance/financial_phrasebank/README.md").write_text(
        "| majority class, accuracy | 0.111 |\n| TF-IDF (words) + logistic regression, accuracy | 0.222 |\n"
    )
    chosen = material.real(tmp_path)
    assert [len(lesson.test) for lesson in chosen.lessons] == [20, 20, 20]
    assert chosen.lessons[0].floors == {"majority": 0.111, "tfidf": 0.222}
    assert chosen.lessons[2].floors == {"majority": 0.079, "tfidf": 0.846}
    assert len(chosen.questions) == 6
