"""Harmful and good Adapts on real sets: how many of each the gate refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from bench import datasets
from bench.measure import table
from candelabra.adapt.trainer import train
from candelabra.adapt.training import Candidate, Incumbent, TrainingSet, TrainSpec
from candelabra.backbones import resolve
from candelabra.settings import Settings
from candelabra.types import Method, Slot, TaskKind

SETS = ("finance/financial_phrasebank", "general/sst2", "medical/ade_corpus", "finance/banking77")
POOL = 1800
SIZES = (300, 500, 700)
INCUMBENTS = 5
WRONG = 0.3
BASES, COPIES = 30, 12
TOKENS = 128


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows of one real set, and near copies of its first BASES rows: features of `copies` row i are of copy i % COPIES
    of row i // COPIES."""

    name: str
    texts: Sequence[str]
    labels: tuple[str, ...]
    targets: np.ndarray
    features: np.ndarray
    copies: Sequence[str]
    copy_features: np.ndarray
    slots: tuple[Slot, ...]


def near_copies(text: str, random: np.random.Generator) -> Iterator[str]:
    """COPIES edits of a text that a careless export or a spinning tool makes: case, spaces, a word less or twice."""
    words = text.split()
    for _ in range(COPIES):
        changed = list(words)
        at = int(random.integers(len(changed)))
        kind = int(random.integers(4))
        if kind == 0 and len(changed) > 4:
            del changed[at]
        elif kind == 1:
            changed.insert(at, changed[at])
        elif kind == 2:
            changed[at] = changed[at].upper()
        else:
            changed[-1] += " " + "!?.;"[int(random.integers(4))]
        yield " ".join(changed)


class Encoder:
    """The default backbone, all layers' means and the last three CLS, as an Adapt encodes."""

    def __init__(self) -> None:
        settings = Settings()
        path = resolve(settings.backbone, settings.cache).path
        self.tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        self.model = AutoModel.from_pretrained(path, use_safetensors=True, local_files_only=True).eval()
        layers = self.model.config.num_hidden_layers
        means = tuple(Slot(layer, "mean") for layer in range(layers + 1))
        self.slots = (*means, *(Slot(layer, "cls") for layer in range(layers - 2, layers + 1)))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """float16 [n, slots, dimension]; long texts are cut."""
        order = np.argsort([len(text) for text in texts])
        parts = [order[at : at + 32] for at in range(0, len(order), 32)]
        found = np.zeros((len(texts), len(self.slots), self.model.config.hidden_size), np.float16)
        for part in parts:
            fed = self.tokenizer(
                [texts[row] for row in part], padding=True, truncation=True, max_length=TOKENS, return_tensors="pt"
            )
            with torch.inference_mode():
                states = self.model(**fed, output_hidden_states=True).hidden_states
            mask = fed["attention_mask"][..., None]
            for column, slot in enumerate(self.slots):
                state = states[slot.layer]
                pooled = state[:, 0] if slot.pooling == "cls" else (state * mask).sum(1) / mask.sum(1)
                found[part, column] = pooled.numpy()
        return found


def pool(name: str, encode: Encoder, seed: int) -> Pool:
    rows = datasets.load(name).train
    random = np.random.default_rng(seed)
    picked = [rows[at] for at in random.choice(len(rows), min(POOL, len(rows)), replace=False)]
    texts, labels = [text for text, _ in picked], tuple(sorted({one[0] for _, one in picked}))
    copies = [copy for text in texts[:BASES] for copy in near_copies(text, random)]
    targets = np.array([labels.index(one[0]) for _, one in picked])
    return Pool(name.split("/")[1], texts, labels, targets, encode(texts), copies, encode(copies), encode.slots)


def rows_of(one: Pool, rows: np.ndarray, targets: np.ndarray | None = None) -> TrainingSet:
    """Some rows, with their own labels or others; labels that no row carries are not known."""
    return _set(
        one, [one.texts[row] for row in rows], one.features[rows], one.targets[rows] if targets is None else targets
    )


def _set(one: Pool, texts: Sequence[str], features: np.ndarray, targets: np.ndarray) -> TrainingSet:
    present, again = np.unique(targets, return_inverse=True)
    labels = tuple(one.labels[at] for at in present)
    digests = [hash((text, labels[at])) % 2**64 for text, at in zip(texts, again, strict=True)]
    values = np.asarray(features, np.float32)
    return TrainingSet(texts, values, one.slots, labels, again.astype(np.int64), np.array(digests, np.uint64))


def wrong(targets: np.ndarray, labels: int, share: float, random: np.random.Generator) -> np.ndarray:
    """Targets of which a share is another label now."""
    moved = random.random(len(targets)) < share
    shift = random.integers(1, labels, len(targets))
    return np.where(moved, (targets + shift) % labels, targets)


Make = Callable[[Pool, Pool, np.ndarray, np.ndarray, np.random.Generator], TrainingSet]
"""From a pool, another set's pool, the incumbent's rows and rows that it never met."""


def _more(one: Pool, _: Pool, old: np.ndarray, new: np.ndarray, __: np.random.Generator) -> TrainingSet:
    return rows_of(one, np.concatenate([old, new[: len(old) // 2]]))


def _again(one: Pool, _: Pool, old: np.ndarray, __: np.ndarray, ___: np.random.Generator) -> TrainingSet:
    return rows_of(one, old)


def _few_more(one: Pool, _: Pool, old: np.ndarray, new: np.ndarray, __: np.random.Generator) -> TrainingSet:
    return rows_of(one, np.concatenate([old, new[:20]]))


def _others(one: Pool, _: Pool, old: np.ndarray, new: np.ndarray, __: np.random.Generator) -> TrainingSet:
    """None of the old rows, half as many rows again; every label is there at least twice."""
    kept = new[: len(old) * 3 // 2]
    rest = [row for label in range(len(one.labels)) for row in new[one.targets[new] == label][:2]]
    return rows_of(one, np.unique(np.concatenate([kept, np.array(rest, np.int64)])))


def _shuffled(one: Pool, _: Pool, old: np.ndarray, new: np.ndarray, random: np.random.Generator) -> TrainingSet:
    rows = np.concatenate([old, new[: len(old) // 2]])
    return rows_of(one, rows, random.permutation(one.targets[rows]))


def _noise(one: Pool, _: Pool, old: np.ndarray, new: np.ndarray, random: np.random.Generator) -> TrainingSet:
    rows = np.concatenate([old, new[: len(old) // 2]])
    return rows_of(one, rows, wrong(one.targets[rows], len(one.labels), WRONG, random))


def _new_noise(one: Pool, _: Pool, old: np.ndarray, new: np.ndarray, random: np.random.Generator) -> TrainingSet:
    rows = new[: len(old)]
    return rows_of(one, rows, wrong(one.targets[rows], len(one.labels), WRONG, random))


def _domain(one: Pool, other: Pool, old: np.ndarray, _: np.ndarray, random: np.random.Generator) -> TrainingSet:
    """Another set's texts, their labels called by this set's names."""
    rows = random.permutation(len(other.texts))[: len(old)]
    names = random.permutation(len(one.labels))
    targets = names[other.targets[rows] % len(one.labels)]
    return _set(one, [other.texts[row] for row in rows], other.features[rows], targets)


def _dropped(one: Pool, _: Pool, old: np.ndarray, new: np.ndarray, random: np.random.Generator) -> TrainingSet:
    rows = np.concatenate([old, new[: len(old) // 2]])
    gone = one.targets[random.choice(old)]
    if len(one.labels) > 2:
        return rows_of(one, rows[one.targets[rows] != gone])
    few = np.flatnonzero(one.targets[rows] == gone)[:3]  # two labels less one is no task at all: nearly gone then
    return rows_of(one, rows[np.union1d(few, np.flatnonzero(one.targets[rows] != gone))])


def _copies(one: Pool, _: Pool, __: np.ndarray, ___: np.ndarray, random: np.random.Generator) -> TrainingSet:
    """Few rows many times over; half of the time a third of the few is labelled wrongly, alike in all copies."""
    bases = one.targets[:BASES]
    share = WRONG if random.random() < 0.5 else 0.0
    targets = np.repeat(wrong(bases, len(one.labels), share, random), COPIES)
    return _set(one, one.copies, one.copy_features, targets)


GOOD: dict[str, Make] = {"half as many more": _more, "20 more": _few_more, "the same again": _again, "others": _others}
HARMFUL: dict[str, Make] = {
    "shuffled labels": _shuffled,
    "30 % noise": _noise,
    "30 % noise, new rows": _new_noise,
    "another domain": _domain,
    "a label dropped": _dropped,
    "leaked copies": _copies,
}


def spec(seed: int) -> TrainSpec:
    return TrainSpec(
        task_kind=TaskKind.SINGLE_LABEL,
        method=Method.CLOSED_FORM,
        metric="accuracy",
        backbone="bench",
        domain="general",
        task="classification",
        seed=seed,
    )


@dataclass(slots=True)
class Result:
    """One Adapt; `failed` has the names of the checks that it did not pass."""

    set_name: str
    kind: str
    harmful: bool
    refused: bool
    failed: tuple[str, ...]


def experiment(pools: Sequence[Pool], count: int, seed: int) -> list[Result]:
    """`count` harmful and `count` good Adapts, spread evenly over sets and kinds."""
    results: list[Result] = []
    incumbents: dict[tuple[int, int], tuple[np.ndarray, Incumbent]] = {}
    for harmful, kinds in ((False, GOOD), (True, HARMFUL)):
        names = list(kinds)
        for trial in range(count):
            at, which = trial % len(pools), trial // len(pools)
            kind, line = names[which % len(names)], which % INCUMBENTS
            one, other = pools[at], pools[(at + 1 + which % (len(pools) - 1)) % len(pools)]
            if (at, line) not in incumbents:
                incumbents[at, line] = incumbent(one, line, seed)
            old, before = incumbents[at, line]
            random = np.random.default_rng([seed, trial, harmful])
            new = random.permutation(np.setdiff1d(np.arange(BASES, len(one.texts)), old))
            made = kinds[kind](one, other, old, new, random)
            candidate = train(made, None, spec(seed), before)
            failed = failures(candidate)
            results.append(Result(one.name, kind, harmful, bool(failed), failed))
    return results


def incumbent(one: Pool, line: int, seed: int) -> tuple[np.ndarray, Incumbent]:
    """A live version from good rows, every label among them: of as many rows as it takes to be accepted."""
    random = np.random.default_rng([seed, line])
    order = BASES + random.permutation(len(one.texts) - BASES)
    first = [row for label in range(len(one.labels)) for row in order[one.targets[order] == label][:2]]
    for size in SIZES[line % len(SIZES) :]:
        rows = np.unique(np.concatenate([order[:size], np.array(first, np.int64)]))
        made = train(rows_of(one, rows), None, spec(seed))
        if not failures(made):
            break
    return rows, Incumbent(made.head, made.evidence)


def failures(candidate: Candidate) -> tuple[str, ...]:
    gate = candidate.report["gate"]
    assert isinstance(gate, dict)
    return tuple(check["name"] for check in gate["checks"] if not check["passed"])


def report(results: Sequence[Result]) -> str:
    lines = []
    for harmful in (True, False):
        these = [one for one in results if one.harmful is harmful]
        for kind in dict.fromkeys(one.kind for one in these):
            rows = [one for one in these if one.kind == kind]
            refused = [sum(one.refused for one in rows if one.set_name == name) for name in _names(results)]
            why: dict[str, int] = {}
            for one in rows:
                for check in one.failed:
                    why[check] = why.get(check, 0) + 1
            reasons = ", ".join(f"{name} {times}" for name, times in sorted(why.items(), key=lambda pair: -pair[1]))
            side = "harmful" if harmful else "good"
            lines.append([side, kind, *refused, f"{sum(refused)} of {len(rows)}", reasons])
    bad, good = ([one.refused for one in results if one.harmful is side] for side in (True, False))
    head = ["adapt", "kind", *_names(results), "refused", "failed checks"]
    return (
        f"Refused {sum(bad)} of {len(bad)} harmful and {sum(good)} of {len(good)} good Adapts "
        f"(CLOSED_FORM, incumbents of {min(SIZES)} to {max(SIZES)} rows).\n\n{table(head, lines)}"
    )


def _names(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(one.set_name for one in results))


def run(count: int = 200, seed: int = 0) -> str:
    began = time.perf_counter()
    encode = Encoder()
    pools = [pool(name, encode, seed) for name in SETS]
    encoded = time.perf_counter() - began
    results = experiment(pools, count, seed)
    return f"{report(results)}\n\nEncoding {encoded:.0f} s, training {time.perf_counter() - began - encoded:.0f} s."
