"""The loss over all windows of a row: written out in numpy for one row of two windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from candelabra.adapt.methods.span_loss import Part, loss_of
from candelabra.engine.window import Window
from candelabra.heads.bodies.span import Rarity

RARITY = Rarity(np.zeros(0, np.float32), np.zeros(0, np.float32))


def window(words: list[int]) -> Window:
    """A question of one token, and words of the text, some in several tokens."""
    ids = np.array([1, 5, 2, *(10 + word for word in words), 2], np.int32)
    own = np.array([-1, -1, -1, *words, -1], np.int32)
    offsets = np.stack([own * 4, own * 4 + 3], axis=1).astype(np.int32)
    offsets[own < 0] = -1
    return Window(ids, 3, offsets, own)


def part(rows: list[list[Window]], truth: list[list[list[tuple[int, int]]]]) -> Part:
    states = [[np.zeros((len(one), 1, 2), np.float32) for one in row] for row in rows]
    return Part.of(rows, truth, states, RARITY)


def test_one_softmax_over_the_windows_of_a_row() -> None:
    made = part([[window([0, 1, 2]), window([2, 3])]], [[[(4, 5)], []]])
    z = torch.arange(28, dtype=torch.float32).reshape(2, 7, 2).sin() * 2
    open_ = [(0, 0), (0, 3), (0, 4), (0, 5), (1, 0), (1, 3), (1, 4)]
    expected = 0.0
    for column, right in ((0, (0, 4)), (1, (0, 5))):
        expected += np.log(sum(np.exp(z[at][column].item()) for at in open_)) - z[right][column].item()
    assert float(loss_of(z, made)) == pytest.approx(expected / 2, rel=1e-5)


def test_any_of_the_true_answers_is_right() -> None:
    z = torch.zeros(1, 7, 2)
    z[0, 4] = 20.0
    both = part([[window([0, 1, 2])]], [[[(3, 3), (4, 4)]]])
    other = part([[window([0, 1, 2])]], [[[(3, 3)]]])
    assert float(loss_of(z, both)) < 1e-3
    assert float(loss_of(z, other)) > 10


def test_no_answer_is_the_first_token_of_every_window() -> None:
    made = part([[window([0, 1]), window([1, 2])]], [[[], []]])
    assert made.true[:, :, 0].all()
    assert made.true.sum() == 4
    z = torch.zeros(2, 6, 2)
    z[1, 0] = 20.0
    assert float(loss_of(z, made)) < 1e-3


def test_a_row_with_an_answer_in_one_window_has_one_elsewhere_too() -> None:
    made = part([[window([0, 1]), window([1, 2])]], [[[(3, 4)], []]])
    assert not made.true[:, :, 0].any()


def test_pieces_inside_a_word_are_never_edges() -> None:
    made = part([[window([0, 0, 1])]], [[[(3, 4)]]])
    assert made.open[0, 0].nonzero().ravel().tolist() == [0, 3, 5]
    assert made.open[1, 0].nonzero().ravel().tolist() == [0, 4, 5]


def test_rows_count_alike_whatever_their_windows() -> None:
    one, two = [window([0, 1])], [window([0, 1]), window([1, 2])]
    z = torch.linspace(-1, 1, 36).reshape(3, 6, 2)
    both = part([one, two], [[[(3, 3)]], [[(4, 4)], [(3, 3)]]])
    apart = loss_of(z[:1], part([one], [[[(3, 3)]]])) + loss_of(z[1:], part([two], [[[(4, 4)], [(3, 3)]]]))
    assert float(loss_of(z, both)) == pytest.approx(float(apart) / 2, rel=1e-5)
