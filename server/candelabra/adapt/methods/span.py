"""Extractive answers: a side network on frozen token states, its epochs chosen on contexts it did not learn from."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.nn import utils

from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.methods.span_loss import Part, loss_of
from candelabra.adapt.methods.span_material import Material, held_out
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples
from candelabra.heads.bodies.span import NETWORK, RARITIES, WORDS, Rarity, SpanFinder
from candelabra.heads.bodies.span_network import Network, Shape, clues
from candelabra.types import Progress, Slot, TaskKind

HELD_OUT = 0.2
STOPPING = 0.1
TOKENS = (400, 3000)
STEPS = 60
"""Padded tokens a step: such that an epoch has about so many steps, within what keeps a CPU busy."""
WARM_UP = 0.1
LEAST_RATE = 0.02
PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may fix. `longest` 0: as long as nearly all answers of the examples are."""

    epochs: int = 5
    rate: float = 1e-3
    decay: float = 0.01
    dropout: float = 0.2
    width: int = 128
    blocks: int = 2
    longest: int = 0

    @classmethod
    def parse(cls, options: Mapping[str, object]) -> Options:
        known = {one.name: one.default for one in fields(cls)}
        for name, value in options.items():
            if name not in known:
                raise InvalidArgument(f"The option {name!r} is unknown: SPAN knows {', '.join(known)}.", field=name)
            whole = isinstance(known[name], int)
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise InvalidArgument(f"The option {name!r} must be a {'whole ' * whole}number.", field=name)
            low, high = LIMITS[name]
            if not low <= value <= high:
                raise InvalidArgument(f"The option {name!r} must be {low} to {high}, not {value}.", field=name)
        made = cls(**options)  # type: ignore[arg-type]
        if made.width % 4:
            raise InvalidArgument("The option 'width' must be a multiple of 4.", field="width")
        return made


LIMITS = {
    "epochs": (1, 200),
    "rate": (1e-6, 1.0),
    "decay": (0.0, 1.0),
    "dropout": (0.0, 0.9),
    "width": (8, 1024),
    "blocks": (0, 12),
    "longest": (0, 512),
}


def check(options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for options that SPAN does not know, and for tasks whose answers are no spans."""
    if kind is not TaskKind.ANSWER:
        raise InvalidArgument("The method SPAN is for questions that a text answers.", field="method")
    Options.parse(options)


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """Trains twice: without a fifth of the contexts, whose rows are then scored, and on all rows.

    Of the first training's contexts a tenth chooses the epoch; the second training stops at the same one. About
    4 MFLOP a token and epoch: 3,500 questions on paragraphs (0.4 M tokens) took 28 seconds of one CPU core an epoch
    with bfloat16 units. `logits[i]` is a tuple of arrays [tokens, 2], one a window. Deterministic by `spec.seed`.
    """
    options = Options.parse(spec.options)
    material = Material.of(data)
    usable = np.flatnonzero(material.usable)
    if len(usable) == 0:
        raise NoExamples("No example has an answer that its text's windows show, and none is without an answer.")
    held = held_out(data.texts, usable, HELD_OUT, spec.seed)
    learn = np.setdiff1d(usable, held)
    stopping = held_out(data.texts, learn, STOPPING, spec.seed + 1)
    learn = np.setdiff1d(learn, stopping)
    longest = options.longest or material.longest(usable)
    trainer = Trainer(material, options, spec.seed, Clock(tell, options.epochs, len(learn), len(usable)))
    judge, epochs = trainer.train(learn, stopping, options.epochs, longest)
    trainer.clock.skip((options.epochs - epochs) * len(usable))
    everyone, _ = trainer.train(usable, np.zeros(0, np.int64), epochs, longest)
    scored = held if len(held) else usable
    logits = np.empty(len(scored), object)
    for at, row in enumerate(scored):
        (logits[at],) = judge.logits(material.inputs([int(row)]))
    chosen = {"epochs": str(epochs), "longest": str(longest), "width": str(options.width)}
    chosen |= {"layers": ",".join(map(str, material.states.layers)), "examples": str(len(usable))}
    evaluation = f"held-out fifth by context ({len(scored)} rows)" if len(held) else "training rows: too few contexts"
    return Fitted(everyone, scored, logits, chosen, evaluation)


class Clock:
    """Tells how far two trainings are, the second of at most as many epochs as the first."""

    def __init__(self, tell: Tell, epochs: int, first: int, second: int) -> None:
        self._tell, self._total = tell, epochs * (first + second)
        self._done, self._since, self._metrics = 0, time.perf_counter(), dict[str, float]()

    def saw(self, rows: int, loss: float) -> None:
        self._done += rows
        spent = time.perf_counter() - self._since
        left = spent / self._done * max(self._total - self._done, 0)
        self._tell(Progress("train", self._done, self._total, loss, dict(self._metrics), left))

    def measured(self, loss: float) -> None:
        self._metrics = {"held_out_loss": loss}

    def skip(self, rows: int) -> None:
        """Rows that will not be seen, because an earlier epoch was better."""
        self._total -= rows


class Trainer:
    def __init__(self, material: Material, options: Options, seed: int, clock: Clock) -> None:
        self.material, self.options, self.seed, self.clock = material, options, seed, clock
        states = material.states
        self.shape = Shape(
            layers=len(states.layers),
            dimension=int(states.values.shape[2]),
            width=options.width,
            hidden=2 * options.width,
            blocks=options.blocks,
            alike=tuple(sorted({0, len(states.layers) // 2, len(states.layers) - 1})),
        )

    def train(self, learn: np.ndarray, stopping: np.ndarray, epochs: int, longest: int) -> tuple[SpanFinder, int]:
        """The body after `epochs` epochs of the schedule, or after the best of them for the rows `stopping`."""
        torch.manual_seed(self.seed)
        random = np.random.default_rng(self.seed)
        rarity = self.material.rarity(learn)
        network = Network(self.shape)
        network.drop(self.options.dropout)
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.options.rate, weight_decay=self.options.decay)
        planned = self.options.epochs * len(self._batches(learn, None))
        best, kept, step = (np.inf, epochs), network.state_dict(), 0
        for epoch in range(1, epochs + 1):
            network.train()
            for rows in self._batches(learn, random):
                for group in optimizer.param_groups:
                    group["lr"] = self.options.rate * _schedule(step, planned)
                loss = self._loss(network, rows, rarity)
                optimizer.zero_grad()
                loss.backward()
                utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                step += 1
                self.clock.saw(len(rows), float(loss.detach()))
            if len(stopping) == 0:
                best, kept = (0.0, epoch), network.state_dict()
                continue
            found = self._held_out_loss(network, stopping, rarity)
            self.clock.measured(found)
            if found < best[0]:
                best, kept = (found, epoch), copy.deepcopy(network.state_dict())
            if epoch - best[1] >= PATIENCE:
                self.clock.skip((epochs - epoch) * len(learn))
                break
        return self._body(kept, rarity, longest), best[1]

    def _loss(self, network: Network, rows: Sequence[int], rarity: Rarity) -> torch.Tensor:
        part = Part.of(
            [self.material.windows[row] for row in rows],
            [self.material.truth[row] for row in rows],
            [self.material.values(row) for row in rows],
            rarity,
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=quick_bfloat16()):
            scores = network(part.batch, clues(part.batch, self.shape.alike))
        return loss_of(scores.float(), part)

    def _held_out_loss(self, network: Network, rows: np.ndarray, rarity: Rarity) -> float:
        network.eval()
        with torch.inference_mode():
            sums = [float(self._loss(network, some, rarity)) * len(some) for some in self._batches(rows, None)]
        return sum(sums) / len(rows)

    def _batches(self, rows: np.ndarray, random: np.random.Generator | None) -> list[list[int]]:
        """Rows of like length together, so many padded tokens a batch; shuffled where `random` is given."""
        length = np.array([self.material.tokens(int(row)) for row in rows])
        room = int(np.clip(length.sum() / STEPS, *TOKENS))
        noise = np.zeros(len(rows)) if random is None else random.uniform(0, 12, len(rows))
        made: list[list[int]] = []
        tokens = windows = 0
        for row in rows[np.argsort(length + noise, kind="stable")].tolist():
            count, widest = len(self.material.windows[row]), self.material.tokens(row)
            if not made or max(tokens, widest) * (windows + count) > room:
                made.append([])
                tokens = windows = 0
            made[-1].append(row)
            tokens, windows = max(tokens, widest), windows + count
        return made if random is None else [made[at] for at in random.permutation(len(made))]

    def _body(self, state: Mapping[str, torch.Tensor], rarity: Rarity, longest: int) -> SpanFinder:
        tensors = {NETWORK + name: tensor.float().numpy() for name, tensor in state.items()}
        tensors |= {WORDS: rarity.ids, RARITIES: rarity.values}
        return SpanFinder(self.material.states.layers, self.shape.about(), longest, tensors)


def _schedule(step: int, steps: int) -> float:
    """Up in a tenth of the steps, then down in a line."""
    return min(1.0, (step + 1) / (WARM_UP * steps + 1)) * max(LEAST_RATE, 1 - step / max(steps, 1))


def quick_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 faster than float32."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and _has_bf16_units()
    except (AttributeError, RuntimeError):
        return False


def _has_bf16_units() -> bool:
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(asked and asked())
