"""Test scores through the served API, beside the plain probe and the bag-of-words floor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from bench import datasets
from bench.measure import table
from candelabra.testing.server import start_server
from candelabra_client import Client

AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Case:
    """A dataset with the scores to compare with, on the same test split.

    `probe` is logistic regression on the backbone's last-layer mean; `floor` the bag of words of the dataset's README.
    """

    dataset: str
    domain: str
    task: str
    metric: str
    probe: float
    floor: float


CASES = (
    Case("finance/financial_phrasebank", "finance", "sentiment", "accuracy", 0.766, 0.768),
    Case("finance/banking77", "finance", "classification", "accuracy", 0.928, 0.910),
    Case("medical/ade_corpus", "medical", "classification", "accuracy", 0.855, 0.871),
    Case("medical/medical_abstracts", "medical", "classification", "accuracy", 0.601, 0.607),
    Case("legal/cuad_clauses", "legal", "clause_type", "accuracy", 0.786, 0.846),
    Case("legal/unfair_tos", "legal", "unfair_terms", "micro F1", 0.438, 0.664),
)


def test_score(client: Client, head: str, rows: Sequence[tuple[str, list[str]]], metric: str) -> float:
    """The head's decisions on `rows`, scored."""
    decided: list[tuple[str, ...]] = []
    for start in range(0, len(rows), AT_ONCE):
        texts = [text for text, _ in rows[start : start + AT_ONCE]]
        decided += [answer[0].labels for answer in client.predict(texts, head, top_k=1, timeout=300)]
    truth = [labels for _, labels in rows]
    if metric == "accuracy":
        return float(accuracy_score([labels[0] for labels in truth], [labels[0] for labels in decided]))
    coder = MultiLabelBinarizer().fit([*truth, *decided])
    return float(f1_score(coder.transform(truth), coder.transform(decided), average="micro"))


def run(methods: Sequence[str] = ("closed_form", "dense"), only: str = "") -> str:
    rows = []
    with start_server(max_inputs=AT_ONCE) as server, Client(server.address) as client:
        for case in CASES:
            if only and only not in case.dataset:
                continue
            data = datasets.load(case.dataset)
            name = case.dataset.rpartition("/")[2].replace("_", "-")
            client.datasets.append(f"bench/{name}", data.train)
            for method in methods:
                began = time.perf_counter()
                handle = client.adapt(
                    f"bench/{name}-{method.replace('_', '-')}",
                    dataset=f"bench/{name}",
                    domain=case.domain,
                    task=case.task,
                    method=method,
                )
                job = handle.wait(3600)
                took = time.perf_counter() - began
                report = job.report
                score = test_score(client, job.head_version, data.test, case.metric)
                seconds = dict(report.seconds)
                rows.append(
                    (
                        name,
                        method,
                        case.metric,
                        f"{score:.4f}",
                        f"{case.probe:.3f}",
                        f"{case.floor:.3f}",
                        "yes" if score >= case.probe else "NO",
                        "yes" if score >= case.floor else "no",
                        job.state,
                        f"{took:.1f}",
                        f"{seconds.get('encode', 0):.1f}",
                        ", ".join(f"{key}={value}" for key, value in sorted(report.chosen.items())),
                    )
                )
                print(rows[-1], flush=True)
    return table(
        (
            "dataset",
            "method",
            "metric",
            "test",
            "probe",
            "floor",
            ">= probe",
            ">= floor",
            "gate",
            "Adapt, s",
            "of it encoding, s",
            "chosen",
        ),
        rows,
    )
