"""The fifteen datasets as cases: task, metric, floor, and how decisions are scored."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import pearsonr, spearmanr

from candelabra_client import Prediction

DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """`floor` is the baseline without any pretrained model that the dataset's README reports for its test split."""

    dataset: str
    domain: str
    task: str
    metric: str
    floor: float
    group: str = "classification"

    @property
    def name(self) -> str:
        return self.dataset.rpartition("/")[2]


CASES = (
    Case("finance/financial_phrasebank", "finance", "sentiment", "accuracy", 0.768),
    Case("finance/banking77", "finance", "classification", "accuracy", 0.910),
    Case("general/sst2", "general", "classification", "accuracy", 0.828),
    Case("medical/ade_corpus", "medical", "classification", "accuracy", 0.871),
    Case("medical/medical_abstracts", "medical", "classification", "accuracy", 0.607),
    Case("legal/cuad_clauses", "legal", "clause_type", "accuracy", 0.846),
    Case("legal/unfair_tos", "legal", "unfair_terms", "micro_f1", 0.664),
    Case("medical/pubmedqa", "general", "pair_classification", "accuracy", 0.566, "pairs"),
    Case("general/stsb", "general", "pair_regression", "spearman", 0.639, "pairs"),
    Case("finance/semeval17_headlines", "general", "pair_regression", "pearson", 0.434, "pairs"),
    Case("medical/ncbi_disease", "general", "entities", "entity_f1", 0.766, "entities"),
    Case("finance/finer_ord", "general", "entities", "entity_f1", 0.622, "entities"),
    Case("legal/legal_ner", "general", "entities", "entity_f1", 0.772, "entities"),
    Case("legal/policyqa", "general", "question_answering", "token_f1", 0.302, "answers"),
    Case("general/squad_v1", "general", "question_answering", "token_f1", 0.213, "answers"),
)

Part = tuple[float, ...]
"""What one row adds to a score; a score is a function of all rows' parts."""


def parts(case: Case, rows: Sequence[dict[str, Any]], given: Sequence[Prediction]) -> list[Part]:
    """One entry a row: (right,), (hits, found, wanted), (ours, truth) or (token F1,)."""
    return [_part(case, row, one) for row, one in zip(rows, given, strict=True)]


def _part(case: Case, row: dict[str, Any], one: Prediction) -> Part:
    if case.metric == "accuracy":
        return (float(one.label == row["label"]),)
    if case.metric == "micro_f1":
        ours, truth = set(one.labels), set(row["labels"])
        return (len(ours & truth), len(ours), len(truth))
    if case.metric == "entity_f1":
        found = {(span.start, span.end, span.label) for span in one.spans}
        wanted = entities(row["tokens"], row["tags"])
        return (len(found & wanted), len(found), len(wanted))
    if case.metric == "token_f1":
        text = one.answers[0].text if one.answers else ""
        return (max(token_f1(text, answer) for answer in row["answers"]["text"]),)
    return (float(one.value or 0.0), float(row["target"]))


def entities(tokens: Sequence[str], tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """Spans of a BIO sequence in code points of the tokens joined by spaces."""
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens)])
    spans, begin, kind = set(), 0, ""
    for at, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind and (prefix != "I" or name != kind):
            spans.add((int(starts[begin]), int(starts[at]) - 1, kind))
            kind = ""
        if prefix != "O" and not kind:
            begin, kind = at, name
    return spans


def token_f1(ours: str, truth: str) -> float:
    """SQuAD's: words without case, punctuation and articles."""
    a, b = _words(ours), _words(truth)
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b)) if shared else float(a == b)


def _words(text: str) -> list[str]:
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def score(case: Case, found: np.ndarray) -> float:
    """Of parts [rows, k]."""
    if case.metric in ("accuracy", "token_f1"):
        return float(found[:, 0].mean())
    if case.metric in ("micro_f1", "entity_f1"):
        return float(2 * found[:, 0].sum() / max(found[:, 1].sum() + found[:, 2].sum(), 1))
    correlation: Callable[..., Any] = pearsonr if case.metric == "pearson" else spearmanr
    return float(correlation(found[:, 0], found[:, 1])[0])


def majority(case: Case, train: Sequence[dict[str, Any]], test: Sequence[dict[str, Any]]) -> float | None:
    """Of the train split's most frequent answer to everything; None where a constant has no score."""
    if case.metric == "accuracy":
        [(label, _)] = Counter(row["label"] for row in train).most_common(1)
        return float(np.mean([row["label"] == label for row in test]))
    return 0.0 if case.metric in ("micro_f1", "entity_f1") else None  # nothing is found where "nothing" is the answer


def interval(case: Case, found: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval over rows."""
    chance = np.random.default_rng(seed)
    drawn = [score(case, found[chance.integers(0, len(found), len(found))]) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
