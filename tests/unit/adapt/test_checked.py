"""What was checked for a job is handed on once, and never a row that was forgotten since."""

from __future__ import annotations

import numpy as np

from candelabra.adapt.checked import MOST, Checked
from candelabra.adapt.material import Material


def material(text: str) -> Material:
    none = np.zeros(0, np.int64)
    return Material(texts=[text], labels=(), targets=none, rows=none, label_counts={}, dropped={}, places=none)


def test_it_is_handed_on_once() -> None:
    checked, data = Checked(), material("a")
    checked.put("job", 0, data)
    assert checked.take("other", 0) is None
    assert checked.take("job", 0) is data
    assert checked.take("job", 0) is None


def test_not_after_a_row_was_forgotten() -> None:
    checked = Checked()
    checked.put("job", 0, material("a"))
    assert checked.take("job", 1) is None
    checked.put("job", 1, material("a"))
    checked.clear()
    assert checked.take("job", 1) is None


def test_the_oldest_make_room() -> None:
    checked = Checked()
    for number in range(MOST + 1):
        checked.put(str(number), 0, material("a"))
    assert checked.take("0", 0) is None
    assert checked.take("1", 0) is not None
