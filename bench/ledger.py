"""What the bench of quality measures, and the ledger of what it has found: bench/results/*.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import datasets, suite
from bench.suite import CASES, Case

RESULTS = Path(__file__).parent / "results"
METHODS = {
    "classification": ("auto", "closed_form", "hybrid", "logreg", "prototype", "dense", "layer_mix", "top_k"),
    "pairs": ("auto", "closed_form", "hybrid", "top_k"),
    "entities": ("auto",),
    "answers": ("auto",),
}
SHOTS = (8, 16, 64)
FEW = ("financial_phrasebank", "banking77", "sst2", "cuad_clauses")
FEW_METHODS = ("auto", "closed_form", "prototype", "logreg", "hybrid")
RACE_SECONDS = 300.0
"""What AUTO may spend on a whole train split: five times the server's default, for the upper layers to be tuned."""
SETFIT = "setfit"
SEEDS = (0, 1, 2)
LEAST_GAP = 0.005

Result = Mapping[str, Any]


def load(name: str) -> dict[str, Any]:
    """One file of results: fine_tune, outside, probes, quality or setfit."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def save(name: str, results: Mapping[str, Any]) -> None:
    """One line each, so that a matrix does not fill pages and a new result is one new line."""
    RESULTS.mkdir(exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(results[key], sort_keys=True)}" for key in sorted(results)]
    (RESULTS / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def entry(case: Case, method: str, shots: int = 0, seed: int = 0) -> str:
    """The name of one measurement in quality.json; `shots` of 0 is the whole train split."""
    return f"{case.name}/{method}/{shots or 'full'}/{seed}"


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything measured so far. What was not, or failed, is None or missing."""

    found: Mapping[str, Result] = field(default_factory=dict)
    probes: Mapping[str, Result] = field(default_factory=dict)
    tuned: Mapping[str, Result] = field(default_factory=dict)
    outside: Mapping[str, Any] = field(default_factory=dict)
    majorities: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Ledger:
        """From the files; majorities from the datasets, where those are on this machine."""
        try:
            majorities = {
                case.name: suite.majority(case, *(datasets.rows(case.dataset, split) for split in ("train", "test")))
                for case in CASES
            }
        except datasets.Absent:
            majorities = {}
        setfit = {key.replace("/", f"/{SETFIT}/", 1): one for key, one in load("setfit").items()}
        found = {**load("quality"), **setfit}
        return cls(found, load("probes"), load("fine_tune"), load("outside"), majorities)

    def full(self, case: Case, method: str = "auto") -> Result | None:
        """What one method did with the whole train split."""
        one = self.found.get(entry(case, method), {})
        return one if "test" in one else None

    def few(self, case: Case, method: str, shots: int) -> list[Result]:
        """Of every seed."""
        seeds = (self.found.get(entry(case, method, shots, seed), {}) for seed in SEEDS)
        return [one for one in seeds if "test" in one]

    def strange(self) -> Mapping[str, Any] | None:
        """How well texts of other domains are told apart, by both of the layers that heads look at."""
        parts = {name: part for name, part in self.outside.items() if isinstance(part, Mapping)}
        return parts[max(parts, key=len)] if parts else None

    def probe(self, case: Case) -> float | None:
        return self.probes.get(case.name, {}).get("test")

    def best(self, case: Case) -> float | None:
        """Full fine-tuning of the same backbone."""
        return self.tuned.get(case.dataset, {}).get("test")

    def closed(self, case: Case, method: str = "auto") -> float | None:
        """Share of the gap from probe to full fine-tuning; None where that gains next to nothing."""
        one, probe, best = self.full(case, method), self.probe(case), self.best(case)
        if one is None or probe is None or best is None or best - probe < LEAST_GAP:
            return None
        return float((one["test"] - probe) / (best - probe))
