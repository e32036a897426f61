"""DENSE: a dense layer or a small network on standardised pooled features, by AdamW until a held-out part is best."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.methods.objective import Objective
from candelabra.adapt.slots import parse_layers
from candelabra.adapt.split import folds, hold_out
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense, normalized
from candelabra.types import Progress, Slot, TaskKind

FOLDS = 5
FOLD_ROWS = 2000
"""Up to so many rows every row is scored, in folds; beyond it one fold is."""
STOP_SHARE = 0.1
BATCH = 64
WEIGHT_DECAY = 0.01
SMOOTHING = 0.05
DROPOUT = 0.2


@dataclass(frozen=True, slots=True)
class Options:
    hidden: int = 0
    learning_rate: float = 1e-3
    max_epochs: int = 60
    patience: int = 6
    layers: tuple[int, ...] = ()

    @classmethod
    def parse(cls, options: Mapping[str, object], slots: Sequence[Slot]) -> Options:
        """Raises InvalidArgument for what cannot be done."""
        unknown = set(options) - {"hidden", "learning_rate", "max_epochs", "patience", "layers"}
        if unknown:
            raise InvalidArgument(f"DENSE has no option {min(unknown)!r}.", field="dense")
        plain = cls()
        rate = options.get("learning_rate")
        rate = plain.learning_rate if rate is None else rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= 1:
            raise InvalidArgument(f"The learning rate {rate!r} is not above 0 and at most 1.", field="learning_rate")
        return cls(
            hidden=_whole(options, "hidden", plain.hidden, 0, 4096),
            learning_rate=float(rate),
            max_epochs=_whole(options, "max_epochs", plain.max_epochs, 1, 10_000),
            patience=_whole(options, "patience", plain.patience, 1, 10_000),
            layers=parse_layers(options.get("layers"), slots),
        )


def _whole(options: Mapping[str, object], name: str, default: int, low: int, high: int) -> int:
    number = options.get(name)
    number = default if number is None else number
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise InvalidArgument(f"{name} is {number!r}: give a whole number from {low} to {high}.", field=name)
    return number


def check(options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for options that this method does not know or cannot use."""
    if kind in (TaskKind.ENTITIES, TaskKind.ANSWER):
        raise InvalidArgument(f"DENSE cannot learn {kind.value}: choose another method.", field="method")
    Options.parse(options, slots)


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """Networks for the folds that are scored, then one of all rows for use. Costs epochs x rows x weights x 6."""
    asked = Options.parse({k: v for k, v in spec.options.items() if k != "self_training"}, data.slots)
    slots = tuple(slot for slot in data.slots if not asked.layers or slot.layer in asked.layers)
    picked = data.columns(slots)
    assert picked is not None, "the slots are the set's own"
    features = normalized(np.asarray(picked, np.float32), len(slots))
    centre, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    # A feature that never varies is left out, not blown up.
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    x = torch.from_numpy(((features - centre) * scale).astype(np.float32))
    aim = Objective.of(data, spec.task_kind)
    rows, seed = len(x), spec.seed

    count = min(FOLDS, rows)
    fold = folds(aim.strata, count, seed)
    scored = range(count if rows <= FOLD_ROWS else 1)
    track = Track(tell, len(scored) + 1, asked.max_epochs)
    parts, logits = [], []
    for one in scored:
        out = np.flatnonzero(fold == one)
        network, _ = _train(x, aim, np.flatnonzero(fold != one), asked, seed + one, track)
        parts.append(out)
        logits.append(_logits(network, x[torch.from_numpy(out)]) * aim.spread + aim.middle)
    network, epoch = _train(x, aim, np.arange(rows), asked, seed + count, track)
    return Fitted(
        body=Dense(slots, _folded(network, centre, scale, aim), "gelu" if asked.hidden else "none"),
        rows=np.concatenate(parts),
        logits=np.concatenate(logits),
        chosen={
            "hidden": str(asked.hidden),
            "layers": ", ".join(f"{slot.layer} {slot.pooling}" for slot in slots),
            "learning_rate": f"{asked.learning_rate:g}",
            "epochs": str(epoch),
        },
        evaluation=f"{count}-fold" if len(scored) > 1 else f"held-out 1/{count}",
    )


class Track:
    """Tells of each epoch, and how long it may take at most."""

    def __init__(self, tell: Tell, networks: int, epochs: int) -> None:
        self.tell, self.total, self.step, self.epochs = tell, networks * epochs, 0, epochs
        self.begun = time.perf_counter()

    def epoch(self, loss: float, held_out: float) -> None:
        self.step += 1
        left = (time.perf_counter() - self.begun) / self.step * (self.total - self.step)
        self.tell(Progress("train", self.step, self.total, loss, {"held_out_loss": held_out}, left))

    def stopped(self, epochs_run: int) -> None:
        """The epochs that early stopping saved are not to come."""
        self.total -= self.epochs - epochs_run


def _train(
    x: torch.Tensor, aim: Objective, rows: np.ndarray, options: Options, seed: int, track: Track
) -> tuple[nn.Module, int]:
    """A network of the rows, as it was in its best epoch on a tenth of them that was held out."""
    stop = hold_out(aim.strata[rows], max(1, round(len(rows) * STOP_SHARE)), seed)
    # With a single row there is nothing to hold out: it serves as both.
    held, learn = torch.from_numpy(rows[stop]), torch.from_numpy(rows if stop.all() else rows[~stop])
    random = torch.Generator().manual_seed(seed)
    network = _network(x.shape[1], aim.outputs, options.hidden, random)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=WEIGHT_DECAY)
    batch = max(1, min(BATCH, len(learn) // 4))
    best, best_epoch, best_state = math.inf, 0, _copy(network)
    epoch = 0
    for epoch in range(1, options.max_epochs + 1):
        network.train()
        order = learn[torch.randperm(len(learn), generator=random)]
        total = 0.0
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            inputs = x[part]
            # Dropout by our own generator: the global one is shared with whoever else runs in the process.
            keep = (torch.rand(inputs.shape, generator=random) >= DROPOUT).float() / (1 - DROPOUT)
            loss = aim.loss(network(inputs * keep), part, SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(part)
        network.eval()
        with torch.inference_mode():
            now = float(aim.loss(network(x[held]), held))
        track.epoch(total / len(order), now)
        if now < best - 1e-5:
            best, best_epoch, best_state = now, epoch, _copy(network)
        elif epoch - best_epoch >= options.patience:
            break
    track.stopped(epoch)
    network.load_state_dict(best_state)
    return network.eval(), best_epoch


def _network(inputs: int, labels: int, hidden: int, random: torch.Generator) -> nn.Sequential:
    """Started small, so that the first steps are those of an undecided classifier."""
    layers: list[nn.Module] = [nn.Linear(inputs, hidden or labels)]
    if hidden:
        # The tanh form, because the head computes it with numpy alone.
        layers += [nn.GELU(approximate="tanh"), nn.Linear(hidden, labels)]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            with torch.no_grad():
                layer.weight.normal_(0.0, 1.0 / math.sqrt(layer.in_features), generator=random)
                layer.bias.zero_()
    with torch.no_grad():
        last = layers[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(0.1)
    return nn.Sequential(*layers)


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _logits(network: nn.Module, x: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(network(x).numpy().astype(np.float64))


def _folded(
    network: nn.Module, centre: np.ndarray, scale: np.ndarray, aim: Objective
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """The layers as [inputs, outputs], with standardisation inside the first and the target's unit inside the last."""
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    layers = [
        (layer.weight.detach().numpy().astype(np.float64).T, layer.bias.detach().numpy().astype(np.float64))
        for layer in linear
    ]
    weight, bias = layers[0]
    weight = weight * scale[:, None]
    layers[0] = (weight, bias - centre @ weight)
    layers[-1] = aim.unscaled(*layers[-1])
    return tuple(layers)
