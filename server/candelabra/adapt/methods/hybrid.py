"""HYBRID: a linear head on the encoder's vectors and TF-IDF with a linear model, added by weights that pay.

Stacking (Wolpert 1992; Breiman 1996, non-negative weights): both parts' logits of rows that they had not seen are
calibrated, and two weights, equal for all labels, minimise the loss on them. The stacked logits are out-of-sample for
the parts but not for the two weights: two numbers from some hundred rows move the mean loss by about 2 / rows.
Where the encoder adds nothing the words alone are the head, and need no forward pass.

Measured with the 6 x 384 backbone, validation accuracy of prototypes / logistic regression / closed form / this, means
of three draws: 8 rows a label banking77 .813 .823 .794 .823, cuad_clauses .641 .648 .662 .740, financial_phrasebank
.536 .510 .482 .530, sst2 .627 .627 .615 .624; 16 rows .854 .876 .847 .879, .728 .715 .726 .802, .575 .567 .571 .569,
.683 .681 .676 .686.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize, nnls
from scipy.special import log_expit, logsumexp

from candelabra.adapt import calibration, race
from candelabra.adapt.methods import closed_form, logreg, prototype
from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.race import Entrant
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.adapt.words import FOLDS, Words, fold_of
from candelabra.errors import InvalidArgument
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.bodies.hybrid import Hybrid
from candelabra.heads.bodies.pair import Pair
from candelabra.types import Method, Progress, Slot, TaskKind

WORK = 1_000_000
"""Of the five folds as many are scored as rows x labels allow, and at least one."""
GAIN = 3.0
"""A part is left out if the log likelihood of all rows together gains less than this by it: two weights that few rows
told are no ground to read words, nor to run an encoder."""
KINDS = (TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL, TaskKind.REGRESSION)


def check(options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for what cannot be done."""
    if kind not in KINDS:
        raise InvalidArgument(f"HYBRID cannot learn {kind.value}: choose another method.", field="method")
    if not isinstance(options.get("words_only", False), bool):
        raise InvalidArgument("words_only is neither true nor false.", field="words_only")
    unknown = set(options) - closed_form.NAMES - {"words_only", "self_training"}
    if unknown:
        raise InvalidArgument(f"HYBRID has no option {min(unknown)!r}.", field="hybrid")
    closed_form.check(_encoded(options), slots, kind)


def fit(data: TrainingSet, spec: TrainSpec, tell: Tell, known: Mapping[Method, Fitted] | None = None) -> Fitted:
    """Costs a closed form, a logistic regression and six linear fits of sparse rows: 1 to 7 s for some thousand rows
    of few labels, 19 s for 9,000 of 77 (one core). `known`: methods that were fitted to these very rows already."""
    check(spec.options, data.slots, spec.task_kind)
    if spec.options.get("words_only"):
        return fit_lexical(data, spec, tell)
    encoded = _best_encoded(data, spec, tell, known or {})
    words = lexical(data, spec, tell)
    _, mine, theirs = np.intersect1d(encoded.rows, words.rows, return_indices=True)
    rows = encoded.rows[mine]
    parts = [encoded.logits[mine], words.logits[theirs]]
    stack = Stack.of(parts, data.targets[rows], spec.task_kind)
    share = stack.share
    tell(Progress("train", loss=stack.loss, metrics={"encoder_share": share}))
    chosen = {**encoded.chosen, "encoder_share": f"{share:.2f}", "stacked_loss": f"{stack.loss:.4f}"}
    without = [_gained(one, stack, data.targets[rows], spec.task_kind) for one in parts]
    if without[0] < GAIN:
        return replace(encoded, chosen={**chosen, "words": "left out"})
    if without[1] < GAIN:
        return fit_lexical(data, spec, tell, words)
    assert isinstance(encoded.body, Dense | Pair), "the closed form is linear"
    body = Hybrid(encoded.body, words.words.body(words.hint), stack.weights, stack.bias)
    return Fitted(body, rows, stack.logits(parts), chosen, f"{encoded.evaluation} and {words.evaluation}, stacked")


def _best_encoded(data: TrainingSet, spec: TrainSpec, tell: Tell, known: Mapping[Method, Fitted]) -> Fitted:
    """The closed form, or logistic regression where that is measurably better; of few rows also prototypes, which know
    the labels' names too."""
    closed = known.get(Method.CLOSED_FORM) or closed_form.fit(data, replace(spec, options=_encoded(spec.options)), tell)
    if spec.task_kind is TaskKind.REGRESSION or data.pairs or _encoded(spec.options):
        return closed
    plain, few = replace(spec, options={}), len(data.targets) <= race.FEW * len(data.labels)
    made = {Method.CLOSED_FORM: closed}
    made[Method.LOGREG] = known.get(Method.LOGREG) or logreg.fit(data, plain, tell)
    if few:
        made[Method.PROTOTYPE] = known.get(Method.PROTOTYPE) or prototype.fit(data, plain, tell)
    entrants = [
        Entrant(method, one.rows, race.losses(one.logits, data.targets[one.rows], spec.task_kind), 0.0)
        for method, one in made.items()
        if len(one.rows)
    ]
    if not entrants:
        return closed
    best, _ = race.winner(entrants, few=few)
    return replace(made[best.method], chosen={**made[best.method].chosen, "encoder_part": best.method.value})


def fit_lexical(data: TrainingSet, spec: TrainSpec, tell: Tell, known: OutOfFold | None = None) -> Fitted:
    """The words alone, as a head."""
    found = known or lexical(data, spec, tell)
    return Fitted(
        body=found.words.body(found.hint),
        rows=found.rows,
        logits=found.logits,
        chosen={"encoder_share": "0.00", "terms": str(len(found.words.terms))},
        evaluation=found.evaluation,
    )


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Words, and their logits of rows by models that had not seen them."""

    words: Words
    rows: np.ndarray
    logits: np.ndarray
    hint: np.ndarray
    """Weights of one of the models, by which the terms to keep are told."""
    evaluation: str


def lexical(data: TrainingSet, spec: TrainSpec, tell: Tell) -> OutOfFold:
    """Soft labels count as their best label here."""
    words = Words.of(texts_of(data), data.targets, len(data.labels), spec.task_kind)
    count = min(FOLDS, len(data.targets))
    fold = fold_of(data.targets, count, spec.seed)
    scored = max(1, min(count, WORK // (words.truth.size or 1)))
    tell(Progress("train", metrics={"terms": float(len(words.terms))}))
    rows, logits, hint = words.out_of_fold(fold, range(scored))
    return OutOfFold(words, rows, logits, hint, f"{count}-fold" if scored == count else f"held-out {scored}/{count}")


def texts_of(data: TrainingSet) -> Sequence[str]:
    """As the server gives them to a body: both texts of a pair, one a line."""
    if not data.pairs:
        return data.texts
    return [f"{one}\n{other}" for one, other in zip(data.texts, data.pairs, strict=True)]


@dataclass(frozen=True, eq=False)
class Stack:
    """`weights` [2, outputs] and `bias` [outputs] that add two parts' logits; `share` is the first part's say."""

    weights: np.ndarray
    bias: np.ndarray
    share: float
    loss: float

    @classmethod
    def of(cls, parts: Sequence[np.ndarray], targets: np.ndarray, kind: TaskKind) -> Stack:
        if kind is TaskKind.REGRESSION:
            return _least_squares(parts, targets)
        own = [_calibration(one, targets, kind) for one in parts]
        ready = [one * scale + shift for one, (scale, shift) in zip(parts, own, strict=True)]

        def loss(shares: np.ndarray) -> tuple[float, np.ndarray]:
            return _loss(shares[0] * ready[0] + shares[1] * ready[1], ready, targets, kind)

        start = np.array([0.5, 0.5])
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 10.0)] * 2)
        shares = found.x if found.x.sum() > 0 else start
        weights = np.stack([share * scale for share, (scale, _) in zip(shares, own, strict=True)])
        bias = sum(share * shift for share, (_, shift) in zip(shares, own, strict=True))
        # What a part moves, not its weight alone: a part that says nothing is all but flat once it is calibrated.
        said = shares * [float(one.std()) for one in ready]
        return cls(weights, np.asarray(bias), float(said[0] / max(said.sum(), 1e-12)), float(found.fun))

    def logits(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(parts[0] * self.weights[0] + parts[1] * self.weights[1] + self.bias)


def _gained(alone: np.ndarray, stack: Stack, targets: np.ndarray, kind: TaskKind) -> float:
    """How much more likely the stack makes the targets than one of its parts alone, in all."""
    if kind is TaskKind.REGRESSION:
        columns = np.stack([alone[:, 0], np.ones(len(alone))], axis=1)
        rest = targets - columns @ np.linalg.lstsq(columns, targets)[0]
        return 0.5 * len(targets) * float(np.log(max((rest**2).mean(), 1e-12) / max(stack.loss, 1e-12)))
    scale, shift = _calibration(alone, targets, kind)
    loss = calibration.negative_log_likelihood(alone * scale + shift, targets)
    return len(targets) * (loss - stack.loss)


def _encoded(options: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if name in closed_form.NAMES}


def _calibration(logits: np.ndarray, targets: np.ndarray, kind: TaskKind) -> tuple[np.ndarray, np.ndarray]:
    if kind is TaskKind.MULTI_LABEL:
        return calibration.platt(logits, targets)
    scale = 1.0 / calibration.temperature(logits, targets)
    return np.full(logits.shape[1], scale), np.zeros(logits.shape[1])


def _loss(z: np.ndarray, ready: Sequence[np.ndarray], targets: np.ndarray, kind: TaskKind) -> tuple[float, np.ndarray]:
    """Mean negative log likelihood of the stacked logits, and its slope in each share."""
    if kind is TaskKind.MULTI_LABEL:
        signs = 2.0 * targets - 1.0
        missed = -signs * np.exp(log_expit(-signs * z))
        value = float(-log_expit(signs * z).sum(axis=1).mean())
    else:
        at = np.arange(len(z))
        level = logsumexp(z, axis=1)
        value = float((level - z[at, targets]).mean())
        missed = np.exp(z - level[:, None])
        missed[at, targets] -= 1.0
    return value, np.array([float((missed * one).sum(axis=1).mean()) for one in ready])


def _least_squares(parts: Sequence[np.ndarray], targets: np.ndarray) -> Stack:
    """Non-negative, and a shift."""
    columns = np.stack([one[:, 0] for one in parts], axis=1)
    middle, level = columns.mean(axis=0), float(targets.mean())
    shares, rest = nnls(columns - middle, targets - level)
    if not shares.any():
        shares = np.array([0.5, 0.5])
    bias = level - float(middle @ shares)
    return Stack(shares[:, None], np.array([bias]), float(shares[0] / shares.sum()), float(rest**2 / len(targets)))
