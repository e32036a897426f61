"""Test scores of every dataset through the served API, beside floor, probe and full fine-tuning.

`python -m bench.quality` measures what is not yet in bench/results/quality.json and writes each result as soon as it
is there, so that it can be stopped and goes on where it was. `--table` writes the tables of what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from bench import datasets, suite
from bench.measure import machine, table
from bench.suite import CASES, Case
from candelabra.testing.server import start_server
from candelabra_client import Client

RESULTS = Path(__file__).parent / "results"
AT_ONCE = 64
COVERAGE = 0.9
METHODS = {
    "classification": ("auto", "closed_form", "hybrid", "logreg", "prototype", "dense", "layer_mix", "top_k"),
    "pairs": ("auto", "closed_form", "hybrid", "top_k"),
    "entities": ("auto",),
    "answers": ("auto",),
}
SHOTS = (8, 16, 64)
FEW = ("financial_phrasebank", "banking77", "sst2", "cuad_clauses")
FEW_METHODS = ("auto", "closed_form", "prototype", "logreg", "hybrid")
SEEDS = (0, 1, 2)


def load(name: str) -> dict[str, Any]:
    """One file of results: fine_tune, probes or quality."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def save(name: str, results: dict[str, Any]) -> None:
    """One line each, so that a matrix does not fill pages and a new result is one new line."""
    RESULTS.mkdir(exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(results[key], sort_keys=True)}" for key in sorted(results)]
    (RESULTS / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def measure(client: Client, case: Case, method: str, seed: int, shots: int = 0, budget: float = 0.0) -> dict[str, Any]:
    """One Adapt on the train split and one pass over the test split."""
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
                found.append((f"{case.name}/{method}/full/0", case, method, 0, 0))
        if few and case.name in FEW:
            for shots in SHOTS:
                for seed in SEEDS:
                    for method in methods or FEW_METHODS:
                        if method in FEW_METHODS:
                            found.append((f"{case.name}/{method}/{shots}/{seed}", case, method, seed, shots))
    return found


def run(only: Sequence[str] = (), methods: Sequence[str] = (), few: bool = True, budget: float = 0.0) -> str:
    results = load("quality")
    with start_server(max_inputs=256) as server, Client(server.address) as client:
        for key, case, method, seed, shots in wanted(only, methods, few):
            if key in results:
                continue
            try:
                results[key] = measure(client, case, method, seed, shots, budget)
                print(f"{key}: {results[key]['test']:.4f} in {results[key]['seconds']:.1f} s", flush=True)
            except Exception as error:  # one method's failure is a result too, and the others go on
                results[key] = {"error": f"{type(error).__name__}: {error}"[:400]}
                print(f"{key}: {results[key]['error']}", flush=True)
            save("quality", results)
    return tables()


def tables() -> str:
    """Full training sets with the share of the gap that is closed; then few-shot means."""
    found, probes, tuned = load("quality"), load("probes"), load("fine_tune")
    full = []
    for case in CASES:
        probe = probes.get(case.name, {}).get("test")
        best = tuned.get(case.dataset, {}).get("test")
        for method in METHODS[case.group]:
            one = found.get(f"{case.name}/{method}/full/0")
            if one is None:
                continue
            if "error" in one:
                full.append((case.name, case.metric, method, one["error"][:80], *[""] * 9))
                continue
            closed = gap_closed(one["test"], probe, best)
            full.append(
                (
                    case.name,
                    case.metric,
                    method,
                    f"{one['test']:.3f}",
                    f"{one['low']:.3f}-{one['high']:.3f}",
                    f"{case.floor:.3f}",
                    _number(probe),
                    _number(best),
                    "" if closed is None else f"{closed:.2f}",
                    f"{one['seconds']:.0f}",
                    _number(one.get("ece")),
                    _number(one.get("coverage")),
                    one["state"],
                )
            )
    headings = (
        "dataset", "metric", "method", "test", "95 %", "floor", "probe", "full fine-tune", "gap closed", "Adapt, s",
        "ECE", "90 % sets cover", "gate",
    )  # fmt: skip
    return f"{table(headings, full)}\n\n{_few_table(found)}\n\n{_means(found, probes, tuned)}"


def gap_closed(ours: float, probe: float | None, best: float | None) -> float | None:
    """None where full fine-tuning is not known or gains nothing over the probe."""
    if probe is None or best is None or best - probe < 0.005:
        return None
    return (ours - probe) / (best - probe)


def _few_table(found: dict[str, Any]) -> str:
    rows = []
    for case in CASES:
        for shots in SHOTS:
            for method in FEW_METHODS:
                keys = [f"{case.name}/{method}/{shots}/{seed}" for seed in SEEDS]
                scores = [found[key]["test"] for key in keys if "test" in found.get(key, {})]
                seconds = [found[key]["seconds"] for key in keys if "test" in found.get(key, {})]
                if scores:
                    spread = f"{np.mean(scores):.3f} ± {np.std(scores):.3f}"
                    rows.append((case.name, shots, method, spread, len(scores), f"{np.median(seconds):.1f}"))
    return table(("dataset", "examples a label", "method", "test", "seeds", "Adapt, s"), rows)


def _means(found: dict[str, Any], probes: dict[str, Any], tuned: dict[str, Any]) -> str:
    rows = []
    for group in METHODS:
        gaps = []
        for case in (case for case in CASES if case.group == group):
            one = found.get(f"{case.name}/auto/full/0", {})
            best, probe = tuned.get(case.dataset, {}).get("test"), probes.get(case.name, {}).get("test")
            closed = gap_closed(one["test"], probe, best) if "test" in one else None
            if closed is not None:
                gaps.append(closed)
        if gaps:
            rows.append((group, f"{np.mean(gaps):.2f}", len(gaps)))
    return table(("tasks", "gap closed by AUTO, mean", "datasets"), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="*", help="names such as banking77; none means all")
    parser.add_argument("--method", action="append", default=[], help="only this method; may be repeated")
    parser.add_argument("--no-few", action="store_true", help="leave the few-shot runs out")
    parser.add_argument("--budget", type=float, default=0.0, help="seconds that AUTO may race; 0: the server's default")
    parser.add_argument("--table", action="store_true", help="measure nothing, print the tables")
    asked = parser.parse_args()
    if asked.table:
        print(tables())
        return
    print(run(asked.datasets, asked.method, not asked.no_few, asked.budget))


if __name__ == "__main__":
    main()
