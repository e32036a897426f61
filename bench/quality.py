"""Test scores of every dataset through the served API, beside floor, probe and full fine-tuning.

`python -m bench.quality` measures what is not yet in bench/results/quality.json and writes each result as soon as it
is there, so that it can be stopped and goes on where it was. Then it writes docs/quality.md; `--table` does only that.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from bench import datasets, quality_page, quality_tables, suite
from bench.ledger import FEW, FEW_METHODS, METHODS, RACE_SECONDS, SEEDS, SHOTS, Ledger, entry, load, save
from bench.measure import machine
from bench.suite import CASES, Case
from candelabra.testing.server import start_server
from candelabra_client import Client

AT_ONCE = 64
COVERAGE = 0.9


def measure(client: Client, case: Case, method: str, seed: int, shots: int = 0) -> dict[str, Any]:
    """One Adapt on the train split and one pass over the test split."""
    budget = RACE_SECONDS if method == "auto" and not shots else 0.0
    train = datasets.rows(case.dataset, "train")
    if shots:
        train = datasets.few(train, shots, seed)
    test = datasets.rows(case.dataset, "test")
    head = f"bench/{case.name}-{method}-{shots}-{seed}".replace("_", "-")
    began = time.perf_counter()
    job = client.adapt(
        head,
        [datasets.example(row) for row in train],
        domain=case.domain,
        task=case.task,
        method=method,
        seed=seed,
        budget_seconds=budget,
    ).wait(7200)
    took = time.perf_counter() - began
    if not job.head_version or job.report is None:
        job.raise_for_state()
        raise RuntimeError(f"{head} ended as {job.state} without a version")
    given: list[Any] = []
    began = time.perf_counter()
    for start in range(0, len(test), AT_ONCE):
        asked = [datasets.asked(row) for row in test[start : start + AT_ONCE]]
        given += [
            answer[0]
            for answer in client.predict(asked, job.head_version, coverage=COVERAGE, outside=True, timeout=600)
        ]
    found = np.array(suite.parts(case, test, given))
    low, high = suite.interval(case, found)
    return {
        "test": suite.score(case, found),
        "low": low,
        "high": high,
        "seconds": took,
        "predict_seconds": time.perf_counter() - began,
        "by_phase": dict(job.report.seconds),
        "state": job.state,
        "gate": job.report.gate.reason if job.report.gate else "",
        "chosen": dict(job.report.chosen),
        "evaluation": job.report.evaluation,
        "calibration_rows": job.report.scored_rows,
        "budget": budget,
        "estimate": score.value if (score := job.report.score()) else None,
        "bytes": client.heads.version(job.head_version).bytes,
        "machine": machine(),
        "date": f"{date.today()}",
        **trust(case, test, given),
        **(confusion(test, given) if case.metric == "accuracy" and method == "auto" and not shots else {}),
    }


def trust(case: Case, rows: Sequence[dict[str, Any]], given: Sequence[Any]) -> dict[str, Any]:
    """Calibration error and coverage on the test split."""
    found: dict[str, Any] = {}
    if case.metric == "accuracy":
        sure = np.array([one.probabilities[0] if one.probabilities else 0.0 for one in given])
        right = np.array([one.label == row["label"] for one, row in zip(given, rows, strict=True)], float)
        bins = np.minimum((sure * 15).astype(int), 14)
        gap = np.bincount(bins, weights=right - sure, minlength=15)
        found["ece"] = float(np.abs(gap).sum() / len(sure))
        found["reliability"] = [
            [float(np.bincount(bins, weights=what, minlength=15)[at]) for what in (np.ones(len(sure)), sure, right)]
            for at in range(15)
        ]
    if given and given[0].prediction_set is not None:
        wanted = [set(row.get("labels", [row.get("label")])) for row in rows]
        sets = [set(one.prediction_set.labels) for one in given]
        carry = [at for at, labels in enumerate(wanted) if labels]
        found["coverage"] = float(np.mean([wanted[at] <= sets[at] for at in carry]))
        found["set_size"] = float(np.mean([len(sets[at]) for at in carry]))
    elif given and given[0].interval is not None:
        inside = [one.interval.low <= row["target"] <= one.interval.high for one, row in zip(given, rows, strict=True)]
        found["coverage"] = float(np.mean(inside))
    if given and given[0].outside is not None:
        found["outside"] = float(np.mean([one.outside.flag for one in given]))
    return found


def confusion(rows: Sequence[dict[str, Any]], given: Sequence[Any]) -> dict[str, Any]:
    """How often each label (a line) was decided as each (a column); an abstention is the label ""."""
    pairs = Counter((row["label"], one.label or "") for row, one in zip(rows, given, strict=True))
    labels = sorted({label for pair in pairs for label in pair})
    return {"labels": labels, "confusion": [[pairs[truth, ours] for ours in labels] for truth in labels]}


def wanted(only: Sequence[str], methods: Sequence[str], few: bool) -> list[tuple[str, Case, str, int, int]]:
    """(key, case, method, seed, shots) of everything to measure, the quick first."""
    found = []
    for case in CASES:
        if only and case.name not in only:
            continue
        for method in methods or METHODS[case.group]:
            if method in METHODS[case.group]:
                found.append((entry(case, method), case, method, 0, 0))
        if few and case.name in FEW:
            for shots in SHOTS:
                for seed in SEEDS:
                    for method in methods or FEW_METHODS:
                        if method in FEW_METHODS:
                            found.append((entry(case, method, shots, seed), case, method, seed, shots))
    return found


def run(only: Sequence[str] = (), methods: Sequence[str] = (), few: bool = True) -> str:
    results = load("quality")
    with start_server(max_inputs=256) as server, Client(server.address) as client:
        for key, case, method, seed, shots in wanted(only, methods, few):
            if key in results:
                continue
            try:
                results[key] = measure(client, case, method, seed, shots)
                print(f"{key}: {results[key]['test']:.4f} in {results[key]['seconds']:.1f} s", flush=True)
            except Exception as error:  # one method's failure is a result too, and the others go on
                results[key] = {"error": f"{type(error).__name__}: {error}"[:400]}
                print(f"{key}: {results[key]['error']}", flush=True)
            save("quality", results)
    return write()


def write() -> str:
    """The pictures where matplotlib is installed, the page, and what it says about the goals."""
    ledger = Ledger.read()
    hint = ""
    try:
        from bench.plots import draw

        draw(ledger)
    except ModuleNotFoundError as absent:
        if absent.name != "matplotlib":
            raise
        hint = "\n\nNo new pictures: matplotlib is missing; pip install -c constraints.txt matplotlib."
    quality_page.write(ledger)
    return f"{quality_tables.goals_table(ledger)}\n\nAll tables: {quality_page.PAGE}{hint}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="*", help="names such as banking77; none means all")
    parser.add_argument("--method", action="append", default=[], help="only this method; may be repeated")
    parser.add_argument("--no-few", action="store_true", help="leave the few-shot runs out")
    parser.add_argument("--table", action="store_true", help="measure nothing, write the page")
    asked = parser.parse_args()
    if asked.table:
        print(write())
        return
    print(run(asked.datasets, asked.method, not asked.no_few))


if __name__ == "__main__":
    main()
