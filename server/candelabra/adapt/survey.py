"""Looks at one backbone after the other with the same examples: a process of its own, started for one advice.

It takes one JSON line on its standard input (see `Question`) and ends when that closes; it writes one JSON line for
each step of progress and for each backbone. The encoder that serves is not touched: other encoders need memory of
their own, which this process gives back when it ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

NICENESS = 19
PASS_ROWS = 256


@dataclass(frozen=True, slots=True)
class Question:
    """Prepared texts with their targets: label numbers, 0/1 rows, or numbers. `backbones` are names or folders."""

    texts: Sequence[str]
    pairs: Sequence[str]
    labels: Sequence[str]
    targets: Sequence[Any]
    kind: str
    metric: str
    long_text: str
    backbones: Sequence[str]
    cache: str
    device: str
    seed: int = 0
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What one backbone gives. `outputs` [rows, labels or 1]: exact leave-one-out outputs of the closed-form head."""

    name: str
    fingerprint: str
    outputs: list[list[float]]
    log_me: float
    h_score: float
    seconds_per_1k: float


def look(question: Question, name: str, tell: Callable[[float], None]) -> Seen:
    """Loads the backbone, encodes every example once and fits the head; `tell` gets the share that is done."""
    from candelabra.adapt import transfer
    from candelabra.adapt.methods import closed_form
    from candelabra.adapt.slots import default_slots
    from candelabra.adapt.training import TrainingSet, TrainSpec
    from candelabra.backbones import resolve
    from candelabra.engine.tokenizer import Tokenizer
    from candelabra.engine.torch_encoder import TorchEncoder
    from candelabra.types import LongText, Method, Reading, TaskKind

    backbone = resolve(name, Path(question.cache))
    encoder = TorchEncoder.load(backbone, question.device)
    tokenizer = Tokenizer.load(backbone)
    slots = default_slots(encoder.info)
    long_text, kind = LongText(question.long_text), TaskKind(question.kind)
    began = time.perf_counter()
    features = _features(encoder, tokenizer, question.texts, question.pairs, long_text, slots, tell)
    seconds = time.perf_counter() - began
    first = second = None
    if question.pairs:
        first = _features(encoder, tokenizer, question.texts, (), long_text, slots, tell)
        second = _features(encoder, tokenizer, question.pairs, (), long_text, slots, tell)
    dtype = {TaskKind.REGRESSION: np.float64, TaskKind.MULTI_LABEL: np.uint8}.get(kind, np.int64)
    targets = np.array(question.targets, dtype)
    data = TrainingSet(
        texts=question.texts,
        features=features,
        slots=slots,
        labels=tuple(question.labels),
        targets=targets,
        rows=np.arange(len(targets), dtype=np.uint64),
        pairs=question.pairs,
        first=first,
        second=second,
    )
    spec = TrainSpec(
        task_kind=kind,
        method=Method.CLOSED_FORM,
        metric=question.metric,
        backbone=encoder.info.fingerprint,
        domain="advice",
        task="advice",
        reading=Reading.JOINT if question.pairs else Reading.TEXT,
        seed=question.seed,
    )
    fitted = closed_form.fit(data, spec, lambda _: None)
    outputs = np.full((len(targets), fitted.logits.shape[1]), np.nan)
    outputs[fitted.rows] = fitted.logits
    last = features[:, slots.index(max(slot for slot in slots if slot.pooling == "mean"))]
    truth = _columns(targets, len(question.labels), kind)
    return Seen(
        name,
        encoder.info.fingerprint,
        outputs.tolist(),
        transfer.logme(last, truth),
        transfer.h_score(last, targets if targets.ndim == 1 and kind is not TaskKind.REGRESSION else truth),
        seconds / len(targets) * 1000,
    )


def _features(
    encoder: Any,
    tokenizer: Any,
    texts: Sequence[str],
    pairs: Sequence[str],
    long_text: Any,
    slots: Sequence[Any],
    tell: Callable[[float], None],
) -> np.ndarray:
    """float32 [rows, slots, dimension]."""
    from candelabra.engine.batch import combine
    from candelabra.engine.batcher import pack

    tokens = tokenizer.split_pairs(texts, pairs, long_text) if pairs else tokenizer.split(texts, long_text)
    windows = [(row, window) for row, one in enumerate(tokens) for window in one.windows]
    pooled = np.zeros((len(windows), len(slots), encoder.info.dimension), np.float32)
    done = 0
    for group in pack([len(window) for _, window in windows], encoder.pass_tokens, 10):
        pooled[group] = encoder.encode([windows[at][1] for at in group], slots).pooled
        done += len(group)
        tell(done / len(windows))
    result = np.zeros((len(texts), len(slots), encoder.info.dimension), np.float32)
    end = 0
    for row, one in enumerate(tokens):
        begin, end = end, end + len(one.windows)
        result[row] = combine(pooled[begin:end], one.windows, slots)
    return result


def _columns(targets: np.ndarray, labels: int, kind: Any) -> np.ndarray:
    """One column a label, or the number itself: what LogME regresses on."""
    if kind.value == "regression":
        return targets[:, None].astype(float)
    return targets.astype(float) if targets.ndim == 2 else np.eye(labels)[targets]


def main() -> int:
    """One question in, lines out."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not end up among the lines
    os.nice(NICENESS)

    def write(message: dict[str, object]) -> None:
        out.write(json.dumps(message) + "\n")

    question = Question(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_input, daemon=True).start()
    from candelabra.errors import Error

    if question.threads:
        import torch

        torch.set_num_threads(question.threads)

    for at, name in enumerate(question.backbones):
        last = [0.0]

        def tell(share: float, name: str = name, at: int = at, last: list[float] = last) -> None:
            if time.monotonic() - last[0] > 0.5:
                last[0] = time.monotonic()
                write({"progress": {"backbone": name, "at": at, "share": share}})

        try:
            write({"seen": asdict(look(question, name, tell))})
        except Error as error:
            write({"failed": {"backbone": name, "reason": error.reason, "message": error.message}})
    write({"done": True})
    return 0


def _end_with_input() -> None:
    """A server that was killed leaves nothing behind: its end of the pipe closes."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
