"""The side network: padding changes nothing, and clues say what the question and the text share."""

from __future__ import annotations

import numpy as np
import torch

from candelabra.engine.window import Window
from candelabra.heads.bodies.span_network import NEAR, Batch, Network, Shape, clues

SHAPE = Shape(layers=1, dimension=4, width=8, heads=2, hidden=8, blocks=2, alike=(0,))


def window(question: list[int], text: list[int]) -> Window:
    ids = np.array([1, *question, 2, *text, 2], np.int32)
    second = len(question) + 2
    offsets, words = np.full((len(ids), 2), -1, np.int32), np.full(len(ids), -1, np.int32)
    words[second:-1] = np.arange(len(text))
    offsets[second:-1] = np.stack([words[second:-1] * 4, words[second:-1] * 4 + 3], axis=1)
    return Window(ids, second, offsets, words)


def batch(*windows: Window) -> Batch:
    random = np.random.default_rng(0)
    table = random.normal(size=(50, 1, 4)).astype(np.float32)
    rarity = np.array([0.0, 0.0, *np.full(48, 0.5)], np.float32)
    rarity[2] = 0.0
    return Batch.of(windows, [table[one.ids] for one in windows], [rarity[one.ids] for one in windows])


def test_padding_and_neighbours_change_no_score() -> None:
    torch.manual_seed(0)
    network = Network(SHAPE).eval()
    short, long = window([5, 6], [7, 5, 8]), window([9, 10, 11, 12], [13, 14, 15, 9, 16, 17])
    with torch.inference_mode():
        one = batch(short)
        alone = network(one, clues(one, SHAPE.alike))[0]
        two = batch(short, long)
        together = network(two, clues(two, SHAPE.alike))[0, : len(short)]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


def test_clues_of_a_word_that_the_question_has() -> None:
    # Two words are asked for; the text has the first of them at its second place.
    found = clues(batch(window([5, 6], [7, 5, *range(20, 40)])), ())[0].numpy()
    first = 4  # [CLS] 5 6 [SEP]
    np.testing.assert_allclose(found[first, :3], [0.5, 0, 0])
    np.testing.assert_allclose(found[first + 1, :3], [0.5, 1, 0.5])
    half = found[:, 3]  # the share of the question's words within NEAR[0] tokens
    assert half[first + 1 + NEAR[0]] == 0.5
    assert half[first + 2 + NEAR[0]] == 0.0
    assert found[first + 2 + NEAR[0], 4] == 0.5


def test_special_tokens_tell_nothing() -> None:
    found = clues(batch(window([5], [7, 8])), ())[0].numpy()
    assert found[0, 0] == 0.0
    assert not found[-1].any()  # the last separator is in every question too


def test_alike_states_score_highest() -> None:
    found = clues(batch(window([5], [7, 5])), (0,))[0].numpy()
    assert found[4, -2] == np.float32(1.0) or abs(found[4, -2] - 1) < 1e-6
    assert found[3, -2] < 1


def test_dropping_is_for_training_only() -> None:
    torch.manual_seed(0)
    network = Network(SHAPE)
    network.drop(0.5)
    one = batch(window([5, 6], [7, 5, 8]))
    shared = clues(one, SHAPE.alike)
    network.eval()
    torch.testing.assert_close(network(one, shared), network(one, shared))
    network.train()
    assert not torch.allclose(network(one, shared), network(one, shared))
