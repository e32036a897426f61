"""Signs that the examples themselves are bad: a label that is gone, labels given at random, old work unlearned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from candelabra.adapt import rivals, scores
from candelabra.adapt.comparison import ANCHORS, LABELS, NOISE, Check, Comparison
from candelabra.adapt.evidence import Anchors, Evidence, text_digests
from candelabra.adapt.inputs import inputs_of
from candelabra.adapt.rivals import Scored, Shared
from candelabra.adapt.training import Incumbent, TrainingSet, TrainSpec
from candelabra.heads.head import Head
from candelabra.types import Slot, TaskKind

LOSS_ROWS = 30
LOSS_SHARE = 0.05
"""An anchor loss up to this share higher than the incumbent's is what another sample of good examples may cost."""
SURE = 3.0
"""Standard errors from which a difference is taken for real where many Adapts are looked at."""
FALL = 0.05
LEAST = 1e-3


def labels_gone(ours: tuple[str, ...], incumbent: Incumbent) -> Check:
    """Labels are not lost in silence: an Adapt without any example of one must be forced."""
    gone = [label for label in incumbent.head.labels if label not in ours]
    if not gone:
        return Check(LABELS, True, "Every label of the version it would replace is still there.")
    named = ", ".join(repr(label) for label in gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
    return Check(LABELS, False, f"No example carries {named}, which the version it would replace knows.")


def noise(shared: Shared, evidence: Evidence | None) -> Check:
    """Labels of new rows that neither the old version nor the new one can guess, though the old data's were guessed.

    Rows from elsewhere are missed by the incumbent alone, and rows with a new idea in them are learned by the
    candidate; labels given at random are missed by both. Both falls are tested as differences of two proportions.
    """
    rows = int(shared.fresh.sum())
    if evidence is None or evidence.right < 0 or rows == 0:
        return Check(NOISE, True, "No new row tells whether the labels are still given as before.")
    old, known = evidence.right, len(evidence.rows)
    truth, fresh = shared.truth, shared.fresh
    mine = float((truth[fresh] == shared.ours[fresh]).all(axis=1).mean())
    theirs = float((truth[fresh] == shared.theirs[fresh]).all(axis=1).mean())
    fell = all(_fell(old, known, now, rows) for now in (mine, theirs))
    words = (
        f"Of {rows} new rows the candidate guesses {mine:.1%} of the labels unseen and the version it would replace "
        f"{theirs:.1%}; of its own rows it guessed {old:.1%}"
    )
    return Check(NOISE, not fell, f"{words}: the labels look {'wrong or random' if fell else 'as before'}.")


def _fell(before: float, rows: int, now: float, fresh: int) -> bool:
    pooled = (before * rows + now * fresh) / (rows + fresh)
    error = math.sqrt(max(pooled * (1 - pooled), 1e-6) * (1 / rows + 1 / fresh))
    return before - now > FALL and before - now > SURE * error


@dataclass(frozen=True, eq=False)
class Revisited:
    """The incumbent's anchor rows, over the labels of both: the truth, and both versions' probabilities."""

    labels: tuple[str, ...]
    columns: list[int]
    truth: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray
    decided_ours: np.ndarray
    decided_theirs: np.ndarray
    multi: bool


def revisit(incumbent: Incumbent, data: TrainingSet, scored: Scored, head: Head) -> Revisited | None:
    """The candidate on the incumbent's anchors; None where there are none that it can be fairly scored on.

    An anchor that the candidate was trained on counts by its unseen probabilities, whatever label it has now; one
    that was trained on and not scored is left out.
    """
    anchors = None if incumbent.evidence is None else incumbent.evidence.anchors
    if anchors is None or incumbent.head.task_kind is not head.task_kind:
        return None
    shared, columns = rivals.shared_labels(head.labels, incumbent.head.labels, head.task_kind)
    if not shared:
        return None
    ours, fair = _probabilities(anchors, data, scored, head)
    old = [incumbent.head.labels.index(label) for label in shared]
    multi = head.task_kind is TaskKind.MULTI_LABEL
    truth = scores.one_hot(anchors.truth, len(incumbent.head.labels))[:, old]
    if not multi:
        fair &= truth.any(axis=1)
    if not fair.any():
        return None
    theirs = anchors.outputs[fair].astype(np.float64)
    return Revisited(
        shared,
        columns,
        truth[fair],
        _shares(ours[fair][:, columns], multi),
        _shares(theirs[:, old], multi),
        rivals.among(head, ours[fair], columns),
        rivals.among(incumbent.head, theirs, old),
        multi,
    )


def anchored(found: Revisited, spec: TrainSpec) -> tuple[Comparison, Check]:
    """The task's metric on the anchors, and the loss, which tells two versions apart on far fewer rows."""
    comparison = rivals.compared(
        ANCHORS,
        spec.metric,
        found.labels,
        found.truth,
        found.decided_ours,
        found.decided_theirs,
        spec.seed,
        recall=True,
    )
    ours, theirs = (_losses(part, found.truth, found.multi) for part in (found.ours, found.theirs))
    gap = ours - theirs
    rows, more, before = len(gap), float(gap.mean()), float(theirs.mean())
    error = float(gap.std(ddof=1)) / math.sqrt(rows) if rows > 1 else math.inf
    worse = rows >= LOSS_ROWS and more - LOSS_SHARE * before > 2 * error
    words = (
        f"Log loss {before + more:.3f} on the {rows} rows kept beside the version it would replace, whose own was "
        f"{before:.3f}: difference {more:+.3f}, standard error {error:.3f}"
    )
    return comparison, Check(
        f"{ANCHORS}_loss", not worse, f"{words}; {'measurably' if worse else 'not measurably'} worse."
    )


def _probabilities(anchors: Anchors, data: TrainingSet, scored: Scored, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """The candidate's probabilities [m, labels] of the anchors, and which of them are fair."""
    wanted = text_digests(anchors.texts, anchors.pairs)
    ours = np.zeros((len(wanted), len(head.labels)))
    seen = scored.data.digests[scored.at]
    place = {int(digest): at for at, digest in enumerate(seen)}
    stored = np.array([place.get(int(digest), -1) for digest in wanted])
    ours[stored >= 0] = scored.probabilities[stored[stored >= 0]]
    fair = stored >= 0
    new = ~np.isin(wanted, data.digests) & ~fair
    if new.any() and not head.layers:
        inputs = inputs_of(_as_rows(anchors), head.body, np.flatnonzero(new), head.reading)
        if inputs is not None:
            ours[new] = np.asarray(head.scores(inputs))
            fair |= new
    return ours, fair


def _as_rows(anchors: Anchors) -> TrainingSet:
    slots: tuple[Slot, ...] = anchors.slots
    rows = np.zeros(len(anchors.texts), np.uint64)
    return TrainingSet(anchors.texts, anchors.features, slots, (), anchors.truth, rows, anchors.pairs)


def _shares(probabilities: np.ndarray, multi: bool) -> np.ndarray:
    """Probabilities among the shared labels only."""
    if multi:
        return probabilities
    total = probabilities.sum(axis=1, keepdims=True)
    shares: np.ndarray = probabilities / np.maximum(total, 1e-12)
    return shares


def _losses(probabilities: np.ndarray, truth: np.ndarray, multi: bool) -> np.ndarray:
    p = np.clip(probabilities, LEAST, 1 - LEAST)
    if multi:
        return np.asarray(-np.where(truth, np.log(p), np.log1p(-p)).sum(axis=1))
    return np.asarray(-np.log(p[truth.astype(bool)]))
