"""What a training takes: features picked by slot, side by side."""

from __future__ import annotations

import numpy as np

from candelabra.adapt.training import TrainingSet
from candelabra.types import Slot

SLOTS = (Slot(1, "mean"), Slot(2, "mean"), Slot(2, "cls"))


def test_columns_stand_side_by_side_in_the_order_asked_for() -> None:
    features = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    data = TrainingSet(["a", "b"], features, SLOTS, ("x", "y"), np.array([0, 1]), np.array([1, 2], np.uint64))
    found = data.columns((SLOTS[2], SLOTS[0]))
    assert found is not None
    assert found.tolist() == [[8, 9, 10, 11, 0, 1, 2, 3], [20, 21, 22, 23, 12, 13, 14, 15]]
    assert data.columns((SLOTS[0], Slot(0, "mean"))) is None
