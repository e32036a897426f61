"""The random field against every path written out."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from candelabra.heads.bodies.crf import FORBIDDEN, Crf, forbidden, spans, tag_count
from candelabra.heads.bodies.tagger_network import Network, Shape


def field(types: int, seed: int, spread: float = 1.0) -> Crf:
    random = np.random.default_rng(seed)
    tags = tag_count(types)
    return Crf.of(*(random.normal(0, spread, size) for size in ((tags, tags), tags, tags)))


def paths(crf: Crf, emissions: np.ndarray, temperature: float = 1.0) -> dict[tuple[int, ...], float]:
    """Every legal path with its probability."""
    found = {}
    for path in product(range(emissions.shape[1]), repeat=len(emissions)):
        score = crf.first[path[0]] + crf.last[path[-1]] + sum(emissions[at, tag] for at, tag in enumerate(path))
        score += sum(crf.moves[a, b] for a, b in pairwise(path))
        if score > FORBIDDEN / 2:
            found[path] = score / temperature
    top = max(found.values())
    total = sum(np.exp(score - top) for score in found.values())
    return {path: float(np.exp(score - top) / total) for path, score in found.items()}


@pytest.mark.parametrize(("types", "words", "temperature"), [(1, 1, 1.0), (1, 6, 1.0), (2, 4, 0.3), (2, 4, 7.0)])
def test_best_path_and_probabilities_are_those_of_all_paths(types: int, words: int, temperature: float) -> None:
    crf = field(types, seed=words)
    emissions = np.random.default_rng(types).normal(0, 2, (words, tag_count(types)))
    every = paths(crf, emissions, temperature)
    assert tuple(crf.viterbi(emissions).tolist()) == max(every, key=lambda path: every[path])
    lattice = crf.lattice(emissions, temperature)
    tags = np.zeros_like(emissions)
    for path, chance in every.items():
        tags[np.arange(words), path] += chance
    np.testing.assert_allclose(lattice.tags(), tags, atol=1e-12)
    for begin in range(words):
        for end in range(begin + 1, words + 1):
            for kind in range(types):
                expected = sum(c for path, c in every.items() if (begin, end, kind) in spans(np.array(path)))
                assert lattice.span(begin, end, kind) == pytest.approx(expected, abs=1e-12)


def test_bio_is_kept_whatever_the_scores_say() -> None:
    crf = field(3, seed=0)
    emissions = np.zeros((50, 7))
    emissions[:, 2::2] = 500.0  # every word wants to be inside of something
    emissions[np.arange(50), 2 + 2 * (np.arange(50) % 3)] += 5.0
    best = crf.viterbi(emissions)
    moves, first = forbidden(3)
    assert not first[best[0]]
    assert not moves[best[:-1], best[1:]].any()


def test_extreme_scores_give_finite_probabilities() -> None:
    crf = field(2, seed=1, spread=30.0)
    emissions = np.random.default_rng(3).normal(0, 3000.0, (300, 5))
    for temperature in (0.05, 1.0, 40.0):
        lattice = crf.lattice(emissions, temperature)
        assert np.isfinite(lattice.tags()).all()
        for begin, end, kind in spans(crf.viterbi(emissions)):
            assert 0.0 <= lattice.span(begin, end, kind) <= 1.0


def test_no_word_has_no_tag() -> None:
    assert len(field(1, 0).viterbi(np.zeros((0, 3)))) == 0


def test_spans_side_by_side_stay_apart() -> None:
    assert spans(np.array([1, 2, 1, 0, 3, 4, 4])) == [(0, 2, 0), (2, 3, 0), (4, 7, 1)]


def test_the_loss_is_the_negative_log_of_the_path_in_a_padded_batch() -> None:
    torch.manual_seed(0)
    network = Network(Shape(width=4, types=1, rank=4, hidden=3, letter=2, filters=2))
    for weight in (network.moves, network.first, network.last):
        torch.nn.init.normal_(weight)
    crf = Crf.of(*(weight.detach().numpy() for weight in (network.moves, network.first, network.last)))
    scores = torch.randn(2, 5, 3)
    tags = torch.tensor([[1, 2, 0, 0, 1], [0, 1, 2, 0, 0]])
    lengths = torch.tensor([5, 3])
    expected = 0.0
    for row, length in enumerate(lengths.tolist()):
        every = paths(crf, scores[row, :length].double().numpy())
        expected -= np.log(every[tuple(tags[row, :length].tolist())])
    assert network.loss(scores, tags, lengths).item() == pytest.approx(expected / 8, rel=1e-5)
