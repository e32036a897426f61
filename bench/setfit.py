"""SetFit beside our heads: the same backbone, itself tuned by contrast on the same few rows, by the official library.

`python -m bench.setfit [DATASET …] [--shots 8 16] [--seeds 3]` measures what is not yet in bench/results/setfit.json.
The library lives in an environment of its own below the cache folder, made on first use; its defaults are used: pairs
by "oversampling", one epoch, batches of 16, logistic regression on the tuned embeddings. Where that means more than
PAIRS pairs, the published 20 positive and 20 negative pairs of each row are drawn instead.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from bench import datasets, suite
from bench.ledger import FEW, SEEDS, SHOTS, load, save
from bench.measure import machine
from bench.suite import CASES, Case
from candelabra.backbones import Backbone, resolve
from candelabra.settings import Settings

PACKAGES = ("setfit==1.2.0", "sentence-transformers==6.2.0", "torch")
CONSTRAINTS = datasets.ROOT / "constraints.txt"
TRAINER = Path(__file__).with_name("setfit_trainer.py")
PAIRS = 10_000
ITERATIONS = 20
TEST_ROWS = 1000

Row = dict[str, Any]


def environment(folder: Path) -> Path:
    """The Python of an environment with the library, which is made where there is none, or an old one."""
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join((*PACKAGES, CONSTRAINTS.read_text("utf-8")))
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        print(f"making an environment with {', '.join(PACKAGES)} in {folder}", flush=True)
        venv.create(folder, clear=True)
        install = ("-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([sys.executable, *install, "-c", str(CONSTRAINTS), *PACKAGES], check=True)
        stamp.write_text(wanted, "utf-8")
    return python


def pairs(rows: Sequence[Row]) -> int:
    """How many "oversampling" draws: of the rarer kind, alike or different, as many as there are of the other."""
    counts = Counter(row["label"] for row in rows).values()
    every = len(rows) * (len(rows) + 1) // 2  # a row is a pair with itself as well
    alike = sum(count * (count + 1) // 2 for count in counts)
    return 2 * max(alike, every - alike)


def iterations(rows: Sequence[Row]) -> int | None:
    """Pairs of each kind for each row; None: "oversampling" decides."""
    return None if pairs(rows) <= PAIRS else ITERATIONS


def some(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many, the same ones every time."""
    return list(rows) if len(rows) <= most else random.Random(0).sample(list(rows), most)


def measure(python: Path, backbone: Backbone, case: Case, shots: int, seed: int) -> dict[str, Any]:
    """Fine-tuning on `shots` rows of each label, and one pass over the test rows."""
    train = datasets.few(datasets.rows(case.dataset, "train"), shots, seed)
    test = some(datasets.rows(case.dataset, "test"), TEST_ROWS)
    drawn = iterations(train)
    given = asked(
        python,
        {
            "backbone": str(backbone.path),
            "window": backbone.window,
            "seed": seed,
            "iterations": drawn,
            "train": [{"text": row["text"], "label": row["label"]} for row in train],
            "test": [row["text"] for row in test],
        },
    )
    right = np.array([[float(ours == row["label"])] for ours, row in zip(given["labels"], test, strict=True)])
    low, high = suite.interval(case, right)
    return {
        "metric": case.metric,
        "test": suite.score(case, right),
        "low": low,
        "high": high,
        "seconds": given["seconds"],
        "predict_seconds": given["predict_seconds"],
        "implementation": given["implementation"],
        "train_rows": len(train),
        "test_rows": len(test),
        "pairs": 2 * drawn * len(train) if drawn else pairs(train),
        "sampling": f"{drawn} iterations" if drawn else "oversampling",
        "machine": machine(),
        "date": f"{date.today()}",
    }


def asked(python: Path, question: dict[str, Any]) -> dict[str, Any]:
    """What the trainer answers. In Python's isolated mode: this folder's setfit.py would hide the library."""
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        (here / "question.json").write_text(json.dumps(question), "utf-8")
        ran = subprocess.run([python, "-I", TRAINER, here], capture_output=True, text=True, check=False)
        if ran.returncode:
            raise RuntimeError(f"SetFit failed: {ran.stderr.strip()[-400:]}")
        answer: dict[str, Any] = json.loads((here / "answer.json").read_text("utf-8"))
        return answer


def wanted(only: Sequence[str], shots: Sequence[int], seeds: int) -> list[tuple[str, Case, int, int]]:
    """(key, case, shots, seed) of everything to measure, fewer examples first."""
    cases = [case for case in CASES if case.name in FEW and (not only or case.name in only)]
    return [
        (f"{case.name}/{count}/{seed}", case, count, seed) for count in shots for case in cases for seed in range(seeds)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="*", help=f"of {', '.join(FEW)}; none means all")
    parser.add_argument("--shots", type=int, nargs="+", default=SHOTS, help="examples of each label")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="draws of examples, from seed 0")
    options = parser.parse_args()
    settings = Settings()
    backbone = resolve(settings.backbone, settings.cache, settings.window)
    python = environment(settings.cache / "bench" / "setfit")
    results = load("setfit")
    for key, case, shots, seed in wanted(options.datasets, options.shots, options.seeds):
        if key not in results:
            results[key] = measure(python, backbone, case, shots, seed)
            save("setfit", results)
            print(f"{key}: {results[key]['test']:.4f} in {results[key]['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
