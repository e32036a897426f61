"""Named entities: a tagger on frozen token states, its epochs chosen on rows that it did not learn from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from candelabra.adapt import split, tagging
from candelabra.adapt.methods.fitted import Tell
from candelabra.adapt.methods.token_lines import Line, batch_of, batches, emissions, lines_of, windows_of
from candelabra.adapt.training import TokenStates, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples
from candelabra.heads.bodies.tagger import Tagger
from candelabra.heads.bodies.tagger_network import Network, Shape
from candelabra.types import Progress, Slot, Span, TaskKind

FEW = 300
"""Below so many rows a single held-out part says too little: every row is scored, by one of FOLDS networks."""
FOLDS = 4
HELD_OUT = 0.2
STOPPING = 0.1
CALIBRATED = 400
"""Rows that the temperature is found on; more would not move it."""
BETWEEN = 2.0
"""Seconds between two reports of progress."""

Found = list[tuple[Span, float]]
Emitted = list[tuple[np.ndarray, ...]]


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may fix; 0 or empty: the server chooses."""

    epochs: int = 0
    layers: tuple[int, ...] = ()
    rank: int = 256
    hidden: int = 128
    rate: float = 2e-3
    batch: int = 16
    decay: float = 0.01
    dropout: float = 0.4
    state_dropout: float = 0.2
    word_dropout: float = 0.05

    @classmethod
    def parse(cls, options: Mapping[str, object]) -> Options:
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(options) - known):
            raise InvalidArgument(
                f"The option {unknown[0]!r} is unknown to this method: use {', '.join(sorted(known))}.", field="options"
            )
        made = cls(**{name: _valued(name, value) for name, value in options.items()})  # type: ignore[arg-type]
        whole = (made.rank, made.hidden, made.batch)
        shares = (made.dropout, made.state_dropout, made.word_dropout)
        if min(whole) < 1 or max(whole) > 2048 or not 0 <= made.epochs <= 200 or not 0 < made.rate <= 0.1:
            raise InvalidArgument(
                "rank, hidden and batch are 1 to 2048, epochs up to 200, rate up to 0.1.", field="options"
            )
        if not all(0 <= share < 1 for share in shares) or not 0 <= made.decay <= 1:
            raise InvalidArgument("A dropout or decay is a share between 0 and 1.", field="options")
        return made


@dataclass(frozen=True, eq=False)
class FittedTagger:
    """`body` was trained on all rows. `found[i]` are the spans, with calibrated probabilities, of row `rows[i]` by a
    network that had not seen it; `fold` int64 [n] says which network scored a row, -1 for rows that none scored."""

    body: Tagger
    temperature: float
    rows: np.ndarray
    fold: np.ndarray
    found: list[Found]
    chosen: dict[str, str]
    evaluation: str


def check(options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for options that `fit` would refuse."""
    if kind is not TaskKind.ENTITIES:
        raise InvalidArgument(f"The method finds named entities and cannot be used for {kind.value}.", field="method")
    Options.parse(options)


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell = lambda _: None) -> FittedTagger:
    """Trains a tagger of every row and says how others like it did on rows held out.

    Rows are divided once: a fifth is scored, a tenth of the rest says when to stop (its best epoch), and the body
    learns from everything for as many epochs. With fewer than 300 rows every row is scored, out of 4 folds, and the
    epochs are fixed. AdamW (Loshchilov and Hutter 2019), the rate falling to nothing; dropout locked over a sequence
    (Gal and Ghahramani 2016). Costs about 0.15 ms of one (shared) core a word and epoch.
    """
    states = data.states
    if states is None:
        raise InvalidArgument("Named entities are learned from token states, and none were encoded.", field="states")
    options = Options.parse(spec.options)
    lines, cut = lines_of(data, states)
    if not lines:
        raise NoExamples("No example has a word to learn from.")
    layers = options.layers or tagging.default_layers(states.layers)
    if missing := set(layers) - set(states.layers):
        raise InvalidArgument(f"Layer {min(missing)} was not encoded.", field="options")
    few = len(data.texts) < FEW
    options = replace(options, epochs=options.epochs or _epochs(len(data.texts)), layers=tuple(layers))
    options = replace(options, batch=min(options.batch, max(1, -(-len(lines) // 20))))
    fold = _folds(data, few, spec.seed)
    work = _Work(data, states, options, spec.seed, tell)
    parts = [[line for line in lines if fold[line.row] != one] for one in range(int(fold.max()) + 1)]
    work.plan_left(options.epochs * (sum(map(len, parts)) + len(lines)))
    judges, epochs = [], options.epochs
    for one, mine in enumerate(parts):
        body, epochs = work.learn(mine) if few else work.learn_and_stop(mine, one)
        judges.append(body)
    rows = np.flatnonzero(fold >= 0)
    emitted = _judged(judges, fold, data, states, rows)
    temperature = _temperature(judges, fold, data, states, rows, emitted)
    work.plan_left(epochs * len(lines))
    final = work.learn(lines, epochs)[0]
    found = [
        decoded(judges[fold[row]], data, states, int(row), one, temperature)
        for row, one in zip(rows, emitted, strict=True)
    ]
    chosen = {name: str(getattr(options, name)) for name in ("rank", "hidden", "rate", "batch")}
    chosen |= {"epochs": str(epochs), "layers": " ".join(map(str, layers))}
    chosen |= {"temperature": f"{temperature:.3f}", "spans_cut_by_words": str(cut)}
    return FittedTagger(final, temperature, rows, fold, found, chosen, f"{FOLDS}-fold" if few else "held out")


def decoded(
    body: Tagger, data: TrainingSet, states: TokenStates, row: int, emitted: tuple[np.ndarray, ...], temperature: float
) -> Found:
    return body.entities(emitted, windows_of(states, row), data.texts[row], temperature)


class _Work:
    """Trains networks on parts of one set of lines and tells how far all of it is."""

    def __init__(self, data: TrainingSet, states: TokenStates, options: Options, seed: int, tell: Tell) -> None:
        self._data, self._states, self._options, self._seed, self._tell = data, states, options, seed, tell
        self._shape = Shape(
            len(options.layers) * states.values.shape[2], len(data.labels), options.rank, options.hidden
        )
        self._begun = self._told = time.monotonic()
        self._done = self._total = 0

    def plan_left(self, lines: int) -> None:
        """So many more lines will be learned from, each counted as often as it is."""
        self._total = self._done + lines

    def learn(
        self, lines: Sequence[Line], epochs: int = 0, after: Callable[[int, Tagger], None] | None = None
    ) -> tuple[Tagger, int]:
        """A tagger after `epochs` of the planned ones (0: all), the rate falling as planned."""
        options = self._options
        random = np.random.default_rng(self._seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            network = Network(self._shape)
            network.dropout, network.state_dropout = options.dropout, options.state_dropout
            network.word_dropout = options.word_dropout
            optimizer = torch.optim.AdamW(
                network.parameters(), lr=options.rate, weight_decay=options.decay, betas=(0.9, 0.98)
            )
            steps = max(1, options.epochs * -(-len(lines) // options.batch))
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
            for epoch in range(epochs or options.epochs):
                network.train()
                for some in batches(lines, options.batch, random):
                    self._step(network, some, optimizer)
                    schedule.step()
                if after is not None:
                    after(epoch + 1, self._body(network))
        return self._body(network), epochs or options.epochs

    def learn_and_stop(self, lines: Sequence[Line], seed: int) -> tuple[Tagger, int]:
        """The tagger of the epoch that does best on a tenth of the lines' rows, and that epoch."""
        rows = np.unique([line.row for line in lines])
        apart = np.random.default_rng([self._seed, seed]).permutation(rows)[: max(1, round(STOPPING * len(rows)))]
        learnt = [line for line in lines if line.row not in set(apart.tolist())]
        watched = np.sort(apart).tolist()
        true = [self._data.spans[row] for row in watched]
        best: list[tuple[float, int, Tagger]] = []

        def after(epoch: int, body: Tagger) -> None:
            emitted = emissions(body, self._data.texts, self._states, watched)
            found = [
                [span for span, _ in decoded(body, self._data, self._states, row, one, 1.0)]
                for row, one in zip(watched, emitted, strict=True)
            ]
            value = float(tagging.f1(tagging.counts(true, found, self._data.labels).sum(axis=0)))
            self._report(metrics={"entity_f1": value})
            if not best or value > best[0][0]:
                best[:] = [(value, epoch, body)]

        self._total -= self._options.epochs * (len(lines) - len(learnt))
        self.learn(learnt, after=after)
        return best[0][2], best[0][1]

    def _step(self, network: Network, lines: Sequence[Line], optimizer: torch.optim.Optimizer) -> None:
        batch = batch_of(lines, self._states, self._options.layers)
        loss = network.loss(network(batch.states, batch.letters, batch.lengths), batch.tags, batch.lengths)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        self._done += len(lines)
        if time.monotonic() - self._told >= BETWEEN:
            self._report(loss.item())

    def _report(self, loss: float | None = None, metrics: Mapping[str, float] | None = None) -> None:
        self._told = time.monotonic()
        left = (self._told - self._begun) / max(self._done, 1) * max(self._total - self._done, 0)
        self._tell(Progress("train", self._done, self._total, loss, metrics or {}, left))

    def _body(self, network: Network) -> Tagger:
        return Tagger(self._data.labels, self._options.layers, self._shape.about(), network.tensors())


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 20)
    return float(min((step + 1) / warm, max(0.02, 1 - step / steps)))


def _epochs(rows: int) -> int:
    """Small sets are seen more often: what counts is steps."""
    return int(np.clip(16_000 // max(rows, 1), 8, 30))


def _folds(data: TrainingSet, few: bool, seed: int) -> np.ndarray:
    """Which network scores a row, -1: none. Rows of a type are spread evenly."""
    carries = np.array([[any(span.label == kind for span in spans) for kind in data.labels] for spans in data.spans])
    if few:
        return split.folds(carries, min(FOLDS, len(carries)), seed)
    held = split.hold_out(carries, round(HELD_OUT * len(carries)), seed)
    return np.where(held, 0, -1)


def _judged(
    judges: Sequence[Tagger], fold: np.ndarray, data: TrainingSet, states: TokenStates, rows: np.ndarray
) -> Emitted:
    found: dict[int, tuple[np.ndarray, ...]] = {}
    for one, judge in enumerate(judges):
        mine = rows[fold[rows] == one].tolist()
        found.update(zip(mine, emissions(judge, data.texts, states, mine), strict=True))
    return [found[row] for row in rows.tolist()]


def _temperature(
    judges: Sequence[Tagger],
    fold: np.ndarray,
    data: TrainingSet,
    states: TokenStates,
    rows: np.ndarray,
    emitted: Emitted,
) -> float:
    """The temperature whose span probabilities have the least log loss; a span right with any margin, as a prior,
    and one wrong keep it in reach where all are right."""
    some = list(zip(rows.tolist(), emitted, strict=True))[:CALIBRATED]

    def loss(log: float) -> float:
        chance, right = [0.5], [0.5]
        for row, one in some:
            for span, probability in decoded(judges[fold[row]], data, states, row, one, float(np.exp(log))):
                chance.append(probability)
                right.append(float(span in data.spans[row]))
        p, y = np.clip(np.array(chance), 1e-4, 1 - 1e-4), np.array(right)
        return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())

    best = minimize_scalar(loss, bounds=(np.log(0.3), np.log(10.0)), method="bounded", options={"maxiter": 15})
    return float(np.exp(best.x))


def _valued(name: str, value: object) -> object:
    """A number, or for layers numbers, from what a caller sent."""
    kind = {one.name: one.type for one in fields(Options)}[name]
    try:
        if name == "layers":
            return tuple(int(one) for one in (value.split() if isinstance(value, str) else value))  # type: ignore[attr-defined]
        return int(str(value)) if kind == "int" else float(str(value))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"The option {name!r} has the value {str(value)[:40]!r}, which is no number.", field="options"
        ) from error
