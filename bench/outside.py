"""How well a head tells texts of other domains from its own: AUROC between every two datasets of labels.

`python -m bench.outside` writes bench/results/outside.json. Each row of the table is a dataset that a head would be
trained on; its test texts are those inside, the test texts of another dataset those outside.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import roc_auc_score

from bench import datasets
from bench.gate import Encoder
from bench.ledger import save
from bench.measure import table
from bench.suite import CASES
from candelabra.adapt.slots import compact_slots
from candelabra.heads.outside import Outside
from candelabra.types import Slot

TRAIN, TEST = 600, 150
"""Texts of a dataset at most, drawn at random."""

Table = Mapping[tuple[str, str], float]


def encoded(encode: Encoder, name: str, split: str, rows: int, slots: tuple[Slot, ...]) -> np.ndarray:
    """[rows, slots, dimension] of texts of one split."""
    lines = datasets.rows(name, split)
    taken = np.random.default_rng(0).permutation(len(lines))[:rows]
    found: np.ndarray = encode([lines[at]["text"] for at in taken])[:, [encode.slots.index(slot) for slot in slots]]
    return found


def between(train: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray], slots: tuple[Slot, ...]) -> Table:
    """(inside, outside): AUROC, from features [n, slots, dimension] of each dataset."""
    found = {}
    for inside, features in train.items():
        outside = Outside.fit(slots, features)
        if outside is None:
            raise ValueError(f"{inside} has too few texts")
        far = {name: outside.measure(part) for name, part in test.items()}
        for name in (name for name in test if name != inside):
            truth = np.repeat([0, 1], [len(far[inside]), len(far[name])])
            found[inside, name] = float(roc_auc_score(truth, np.concatenate([far[inside], far[name]])))
    return found


def run() -> str:
    encode = Encoder()
    slots = compact_slots(encode.slots)
    names = [case.dataset for case in CASES if case.group == "classification"]
    began = time.perf_counter()
    train = {name: encoded(encode, name, "train", TRAIN, slots) for name in names}
    test = {name: encoded(encode, name, "test", TEST, slots) for name in names}
    results: dict[str, object] = {"seconds": time.perf_counter() - began, "train": TRAIN, "test": TEST}
    rows = []
    for used in (slots[-1:], slots):
        at = [slots.index(slot) for slot in used]
        found = between(*({name: part[:, at] for name, part in each.items()} for each in (train, test)), used)
        others = {pair: auroc for pair, auroc in found.items() if _domain(pair[0]) != _domain(pair[1])}
        worst = min(others, key=others.__getitem__)
        mean = float(np.mean(list(others.values())))
        label = "+".join(str(slot.layer) for slot in used)
        results[label] = {
            "mean": mean,
            "worst": [*worst, others[worst]],
            "pairs": {" -> ".join(pair): auroc for pair, auroc in found.items()},
        }
        rows.append((label, f"{mean:.4f}", f"{others[worst]:.4f}", " -> ".join(worst)))
    save("outside", results)
    return table(("layers", "AUROC between domains, mean", "worst", "inside -> outside"), rows)


def _domain(name: str) -> str:
    return name.partition("/")[0]


if __name__ == "__main__":
    print(run())
