"""TOP_K: the upper k layers tuned from cached token states of the layer below them, from a closed-form start."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from candelabra.adapt.methods import choices
from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.methods.objective import Objective, Track, batches, ridge_start
from candelabra.adapt.split import folds, hold_out
from candelabra.adapt.training import TokenStates, TrainingSet, TrainSpec
from candelabra.engine.row import Inputs
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.top_k import TopK
from candelabra.heads.bodies.transformer_layer import Layers, padded, read, run
from candelabra.types import BackboneInfo, Slot, TaskKind

CANDIDATES = (3, 2, 1)
FOLDS = 5
STOP_SHARE = 0.1
PENALTY = 30.0
"""Of the ridge start: a close fit would leave little error on the rows to learn from. Not tuned by itself."""
RATE = 1e-4
BATCH = 16
LAYER_DECAY = 0.95
WEIGHT_DECAY = 0.01
DROPOUT = 0.1
WARM_UP = 0.1
PASSES = 1 + (1 - 1 / FOLDS) * (1 - STOP_SHARE)
"""Trainings, counted in epochs of all rows: one for the scores, one for use."""
ONCE_ROWS, ONCE_SCORED = 2000, 1000
"""From so many rows on one training may do for both, on all rows but those that it is scored and stopped by: about
ONCE_SCORED, and at most a fifth. The choice among a few epochs is no bias that such a number of rows could show."""
LEAST_EPOCHS = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller fixed; None: the server chooses."""

    k: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    batch: int | None = None

    @classmethod
    def parse(cls, options: Mapping[str, object]) -> Options:
        """Raises InvalidArgument for what cannot be done."""
        choices.known("TOP_K", options, cls.__slots__)
        return cls(
            choices.whole(options, "k", 1, 64),
            choices.whole(options, "epochs", 1, 1000),
            choices.rate(options, "learning_rate", 0.1),
            choices.whole(options, "batch", 1, 4096),
        )


def check(options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for options that TOP_K does not know, and for tasks whose answers are tokens."""
    Options.parse(options)
    if kind not in (TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL, TaskKind.REGRESSION):
        raise InvalidArgument(f"TOP_K does not make {kind.value}: use SEQ_CRF or SPAN.", field="method")


def wanted_layers(info: BackboneInfo, options: Mapping[str, object]) -> tuple[int, ...]:
    """The layers whose token states training needs: the one below the k, or those of every k in question."""
    fixed = Options.parse(options).k
    if fixed is not None and fixed > info.layers:
        raise InvalidArgument(f"{info.name} has {info.layers} layers: {fixed} of them cannot be tuned.", field="k")
    return tuple(sorted(info.layers - k for k in ([fixed] if fixed else CANDIDATES) if k <= info.layers))


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """Layers of four fifths, scored on the last fifth, tell how many epochs are best; then layers of all rows. Where
    the budget is short and rows are many, the first layers are also those for use.

    AdamW at 1e-4 (a little less for each layer down) with warm-up and decay, batches of like length, bf16 where the
    machine has it. About 6 x 12 d^2 operations a token, layer and epoch: at d = 384 on one core with AVX512_BF16
    0.1 ms. k is the largest of 3, 2, 1 whose estimate, from one timed batch, is within the budget; raises
    InvalidArgument where none is.
    """
    options = Options.parse(spec.options)
    if data.states is None:
        raise InvalidArgument("TOP_K needs token states, and none were kept of these rows.", field="method")
    every = np.arange(len(data.targets))
    trainer = Trainer(Objective.of(data, spec.task_kind), data.states, Path(spec.backbone_path), options, spec.seed)
    plan = trainer.choose(options.epochs or max(3, min(8, 2 + round(6000 / max(len(every), 1)))), spec.budget_seconds)
    track = Track(tell, plan.epochs / 2 if plan.once else plan.epochs)
    scored = folds(trainer.objective.strata, min(FOLDS, len(every)), spec.seed) == 0
    if plan.once:
        # Of the fold that others are scored on too, so that they can be compared.
        first = every[scored]
        out = first[hold_out(trainer.objective.strata[first], ONCE_SCORED, spec.seed)] if _more(first) else first
        learn = np.setdiff1d(every, out)
        best, network = trainer.train(plan.k, learn, out, plan.epochs, track)
    else:
        learn, out = every[~scored], every[scored]
        stop = hold_out(trainer.objective.strata[learn], max(1, round(len(learn) * STOP_SHARE)), spec.seed)
        best, network = trainer.train(plan.k, learn[~stop], learn[stop], plan.epochs, track)
    logits = trainer.body(network).logits(trainer.inputs(network, out))
    if not plan.once:
        track.again(best)
        _, network = trainer.train(plan.k, every, every[:0], best, track)
    return Fitted(
        body=trainer.body(network),
        rows=out,
        logits=logits.astype(np.float64),
        chosen={
            "k": str(plan.k),
            "epochs": str(best),
            "learning_rate": f"{trainer.rate:g}",
            "batch": str(trainer.batch),
            "rows_learned": str(len(learn) if plan.once else len(every)),
        },
        evaluation=f"held-out {len(out)} of {len(every)} rows",
    )


def _more(fold: np.ndarray) -> bool:
    return len(fold) > 1.5 * ONCE_SCORED


@dataclass(frozen=True, slots=True)
class Plan:
    """`once`: the layers that are scored are also those for use."""

    k: int
    epochs: int
    once: bool


@dataclass(eq=False)
class Network:
    """`layers` over the states at `below`, and a linear function of the mean behind them."""

    below: int
    layers: Layers
    weight: torch.Tensor
    bias: torch.Tensor

    def leaves(self) -> list[torch.Tensor]:
        return [self.weight, self.bias, *(tensor for one in self.layers.weights for tensor in one.values())]

    def kept(self) -> list[torch.Tensor]:
        return [tensor.detach().clone() for tensor in self.leaves()]

    def restore(self, kept: Sequence[torch.Tensor]) -> None:
        with torch.no_grad():
            for tensor, old in zip(self.leaves(), kept, strict=True):
                tensor.copy_(old)


class Trainer:
    """Trains networks of the same rows."""

    def __init__(self, objective: Objective, states: TokenStates, folder: Path, options: Options, seed: int) -> None:
        self.objective, self.states, self.folder, self.options, self.seed = objective, states, folder, options, seed
        self.rate = options.learning_rate or RATE
        self.batch = options.batch or BATCH
        self.windows = [list(states.of(row)) for row in range(len(objective.wanted))]
        self.lengths = np.array([sum(last - first for first, last, _ in one) for one in self.windows])
        self.total = read(folder, 1).total
        self.low = _native_bf16()

    def choose(self, epochs: int, budget: float) -> Plan:
        """The most that fits the budget, by a timed batch: rather one training than fewer layers, rather fewer layers
        than fewer epochs. What the caller fixed stays."""
        fixed = self.options.k
        if fixed is not None and self.total - fixed not in self.states.layers:
            raise InvalidArgument(f"No token states of layer {self.total - fixed} were kept.", field="k")
        able = [fixed] if fixed else [k for k in CANDIDATES if self.total - k in self.states.layers]
        if not able:
            raise InvalidArgument("No token states of a layer below the top were kept.", field="method")
        rows = len(self.lengths)
        each = self._seconds_a_token(able[0]) / able[0] * float(self.lengths.sum())
        learned = 1 - min(ONCE_SCORED / rows, 1 / FOLDS)
        ways = [(PASSES, False), *([(learned, True)] if rows >= ONCE_ROWS else [])]
        for k in able:
            for passes, once in ways:
                if each * k * epochs * passes <= budget:
                    return Plan(k, epochs, once)
        passes, once = ways[-1]
        fewer = int(budget / max(each * able[-1] * passes, 1e-9))
        if fixed is not None:
            return Plan(fixed, epochs, once)
        if self.options.epochs is None and fewer >= LEAST_EPOCHS:
            return Plan(able[-1], fewer, once)
        needed = each * able[-1] * (self.options.epochs or LEAST_EPOCHS) * passes
        raise InvalidArgument(
            f"TOP_K needs about {needed:.0f} s for these rows, and {budget:.0f} s are left: raise budget_seconds.",
            field="budget_seconds",
        )

    def _seconds_a_token(self, k: int) -> float:
        """Of a training step: the second of two, for the first prepares."""
        network = self.start(k, np.zeros(0, np.int64))
        rows = np.argsort(self.lengths)[len(self.lengths) // 2 :][: self.batch]
        spent = math.inf
        for _ in range(2):
            begun = time.perf_counter()
            self.outputs(network, rows).sum().backward()
            spent = min(spent, time.perf_counter() - begun)
        return spent / max(int(self.lengths[rows].sum()), 1)

    def start(self, k: int, rows: np.ndarray) -> Network:
        """The encoder's own upper layers, and the ridge head of the rows' means behind them (LP-FT)."""
        layers = read(self.folder, k)
        width = layers.weights[0]["out.bias"].shape[0]
        weight, bias = np.zeros((width, self.objective.outputs), np.float32), np.zeros(self.objective.outputs)
        network = Network(self.total - k, layers, torch.from_numpy(weight), torch.from_numpy(bias).float())
        if len(rows):
            means = np.zeros((len(self.windows), width), np.float32)
            with torch.inference_mode():
                for part in batches(self.lengths[rows], 4 * self.batch, None):
                    means[rows[part]] = self.means(network, rows[part], None).numpy()
            found = ridge_start(means, self.objective, rows, self.seed, (PENALTY,))
            network.weight, network.bias = torch.from_numpy(found.weight), torch.from_numpy(found.bias)
        for tensor in network.leaves():
            tensor.requires_grad_(True)
        return network

    def train(self, k: int, learn: np.ndarray, held: np.ndarray, epochs: int, track: Track) -> tuple[int, Network]:
        """The best epoch on `held` and the network as it was then; without any, as it is after the last."""
        draw, random = np.random.default_rng(self.seed), torch.Generator().manual_seed(self.seed)
        network = self.start(k, learn)
        optimizer = torch.optim.AdamW(self._groups(network), lr=self.rate, fused=True)
        steps = epochs * math.ceil(len(learn) / self.batch)
        rise = max(1, round(steps * WARM_UP))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))
        )
        best, best_epoch, kept = math.inf, epochs, None
        for epoch in range(1, epochs + 1):
            total = 0.0
            for part in batches(self.lengths[learn], self.batch, draw):
                loss = self.objective.loss(self.outputs(network, learn[part], random), torch.from_numpy(learn[part]))
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.leaves(), 1.0)
                optimizer.step()
                schedule.step()
                total += float(loss.detach()) * len(part)
            if not len(held):
                track.epoch(total / len(learn), {})
                continue
            now, score = self._held(network, held)
            track.epoch(total / len(learn), {"held_out_loss": now, "held_out_score": score})
            if now < best:
                best, best_epoch, kept = now, epoch, network.kept()
            elif epoch - best_epoch >= 2:
                break
        if kept is not None:
            network.restore(kept)
        return best_epoch, network

    def _groups(self, network: Network) -> list[dict[str, object]]:
        groups: list[dict[str, object]] = [{"params": [network.weight, network.bias], "weight_decay": 0.0}]
        count = len(network.layers.weights)
        for at, one in enumerate(network.layers.weights):
            rate = self.rate * LAYER_DECAY ** (count - 1 - at)
            groups.append({"params": list(one.values()), "lr": rate, "weight_decay": WEIGHT_DECAY})
        return groups

    def _held(self, network: Network, rows: np.ndarray) -> tuple[float, float]:
        found = torch.zeros(len(rows), self.objective.outputs)
        with torch.inference_mode():
            for part in batches(self.lengths[rows], 4 * self.batch, None):
                found[torch.from_numpy(part)] = self.outputs(network, rows[part])
        at = torch.from_numpy(rows)
        return float(self.objective.loss(found, at)), self.objective.score(found, at)

    def outputs(self, network: Network, rows: np.ndarray, random: torch.Generator | None = None) -> torch.Tensor:
        """Logits [len(rows), outputs], float32; with dropout where `random` is given."""
        return self.means(network, rows, random) @ network.weight + network.bias

    def means(self, network: Network, rows: np.ndarray, random: torch.Generator | None) -> torch.Tensor:
        """Means of the rows' tokens, of all their windows, behind the layers: float32 [len(rows), d]."""
        owner = [at for at, row in enumerate(rows) for _ in self.windows[row]]
        x, mask = padded([torch.from_numpy(one).float() for row in rows for one in self.tokens(network, int(row))])

        def drop(states: torch.Tensor) -> torch.Tensor:
            # By our own generator: the global one is shared with whoever else runs in the process.
            keep = torch.empty(states.shape, dtype=states.dtype).bernoulli_(1 - DROPOUT, generator=random)
            return states * keep / (1 - DROPOUT)

        with torch.autocast("cpu", torch.bfloat16, enabled=self.low):
            x = run(x, mask, network.layers, drop if random is not None else None)
        x = x.float() if mask is None else x.float() * mask[..., None]
        sums = torch.zeros(len(rows), x.shape[2]).index_add(0, torch.tensor(owner), x.sum(1))
        return sums / torch.from_numpy(self.lengths[rows]).float()[:, None]

    def tokens(self, network: Network, row: int) -> list[np.ndarray]:
        """States float16 [t, d] below the layers, of each window of the row."""
        at = self.states.layers.index(network.below)
        return [np.array(self.states.values[first:last, at]) for first, last, _ in self.windows[row]]

    def inputs(self, network: Network, rows: np.ndarray) -> Inputs:
        states = [[one[:, None].astype(np.float32) for one in self.tokens(network, int(row))] for row in rows]
        return Inputs(np.zeros((len(rows), 0), np.float32), states, [""] * len(rows))

    def body(self, network: Network) -> TopK:
        weight, bias = self.objective.unscaled(network.weight.detach().numpy(), network.bias.detach().numpy())
        return TopK(network.below, network.layers, weight, bias)


def _native_bf16() -> bool:
    """Whether this CPU multiplies bf16 itself: where it does not, autocast is slower than fp32."""
    named = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(named()) if named is not None else False
