"""Strange texts are seen, in whichever of the layers they are strange, and those alike are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from candelabra.heads.outside import BEYOND, Outside
from candelabra.types import Slot

SLOTS = (Slot(4, "mean"), Slot(6, "mean"))
WIDTH = 40


def texts(rows: int, seed: int = 0, away: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Vectors [rows, 2 * WIDTH] with a few directions of their own in each slot, each some way off."""
    random = np.random.default_rng(seed)
    found = []
    for at, far in enumerate(away):
        shape = np.random.default_rng(7 + at).normal(size=(6, WIDTH))
        moved = np.random.default_rng(8 + at).normal(size=WIDTH) * far
        found.append(3 + moved + random.normal(size=(rows, 6)) @ shape + 0.3 * random.normal(size=(rows, WIDTH)))
    return np.concatenate(found, axis=1).astype(np.float32)


@pytest.mark.parametrize("away", [(2.0, 0.0), (0.0, 2.0), (1.5, 1.5)])
def test_texts_from_elsewhere_are_outside_and_those_alike_seldom_are(away: tuple[float, float]) -> None:
    outside = Outside.fit(SLOTS, texts(600))
    assert outside is not None
    own, strange = outside.scores(texts(2000, seed=5)), outside.scores(texts(500, seed=6, away=away))
    assert own.dtype == np.float32
    assert (own >= BEYOND).mean() < 0.03
    assert own.mean() == pytest.approx(0.5, abs=0.06)
    assert (strange >= BEYOND).mean() > 0.95


def test_new_texts_of_the_kind_lie_as_far_away_as_training_texts() -> None:
    """Else drift would be seen in traffic that is just like the training texts."""
    random = np.random.default_rng(3)
    shape = random.normal(size=(384, 384)) * np.linspace(1.0, 0.05, 384)
    train, new = random.normal(size=(300, 384)) @ shape, random.normal(size=(256, 384)) @ shape
    outside = Outside.fit(SLOTS[:1], train.astype(np.float32))
    assert outside is not None
    assert ks_2samp(outside.measure(new), outside.distances).statistic < 0.15


def test_rows_with_more_directions_than_texts_do_not_call_their_own_kind_outside() -> None:
    outside = Outside.fit(SLOTS, texts(30))
    assert outside is not None
    assert (outside.scores(texts(2000, seed=5)) >= BEYOND).mean() < 0.15
    assert Outside.fit(SLOTS, texts(15)) is None
    same = Outside.fit(SLOTS, np.ones((20, 2 * WIDTH), np.float32))
    assert same is not None
    assert np.isfinite(same.scores(texts(3))).all()


def test_squared_distances_of_the_slots_add_up() -> None:
    both = texts(300)
    parts = [both[:, :WIDTH], both[:, WIDTH:]]
    outside = Outside.fit(SLOTS, both)
    single = [Outside.fit((slot,), part) for slot, part in zip(SLOTS, parts, strict=True)]
    assert outside is not None
    squares = [one.measure(part) ** 2 for one, part in zip(single, parts, strict=True) if one is not None]
    assert np.allclose(outside.measure(both), np.sqrt(sum(squares)), rtol=1e-4)
    assert np.array_equal(outside.measure(both.reshape(300, 2, WIDTH)), outside.measure(both))


def test_the_picture_takes_kilobytes() -> None:
    wide = np.random.default_rng(0).normal(size=(400, 2 * 384)).astype(np.float32)
    outside = Outside.fit(SLOTS, wide)
    assert outside is not None
    assert sum(tensor.nbytes for tensor in outside.tensors().values()) < 54_000
