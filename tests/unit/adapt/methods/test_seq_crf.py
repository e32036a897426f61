"""A tagger learns made-up sentences: unseen rows are scored by networks that had not seen them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tagged import TYPES, tagged

from candelabra.adapt import tagging
from candelabra.adapt.methods import seq_crf
from candelabra.adapt.methods.seq_crf import FittedTagger, fit
from candelabra.adapt.methods.token_lines import batch_of, emissions, lines_of, windows_of
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples
from candelabra.types import Method, Progress, TaskKind

SMALL = {"rank": 16, "hidden": 8, "epochs": 10, "rate": 0.01}


def spec(**options: object) -> TrainSpec:
    return TrainSpec(
        task_kind=TaskKind.ENTITIES,
        method=Method.SEQ_CRF,
        metric="entity_f1",
        backbone="fingerprint",
        domain="general",
        task="entities",
        options={**SMALL, **options},
    )


def f1_of(fitted: FittedTagger, data: TrainingSet) -> float:
    found = [[span for span, _ in one] for one in fitted.found]
    true = [data.spans[row] for row in fitted.rows]
    return float(tagging.f1(tagging.counts(true, found, TYPES).sum(axis=0)))


@pytest.fixture(scope="module")
def few() -> tuple[TrainingSet, FittedTagger]:
    data = tagged(80)
    return data, fit(data, spec())


def test_few_rows_are_all_scored_by_folds(few: tuple[TrainingSet, FittedTagger]) -> None:
    data, fitted = few
    assert fitted.evaluation == "4-fold"
    assert fitted.rows.tolist() == list(range(80))
    assert set(fitted.fold.tolist()) == {0, 1, 2, 3}
    assert f1_of(fitted, data) > 0.8
    assert all(0 <= probability <= 1 for one in fitted.found for _, probability in one)


def test_the_same_seed_gives_the_same_tagger() -> None:
    data = tagged(24)
    fitted, again = (fit(data, spec(epochs=2)) for _ in range(2))
    for name, tensor in fitted.body.tensors().items():
        np.testing.assert_array_equal(again.body.tensors()[name], tensor)
    assert again.found == fitted.found


def test_many_rows_are_held_out_and_the_body_finds_what_it_never_saw() -> None:
    data, fresh = tagged(330), tagged(60, first=5000)
    told: list[Progress] = []
    fitted = fit(data, spec(epochs=4), told.append)
    assert fitted.evaluation == "held out"
    assert 55 <= len(fitted.rows) <= 75
    assert (fitted.fold[fitted.rows] == 0).all()
    assert (np.delete(fitted.fold, fitted.rows) == -1).all()
    assert f1_of(fitted, data) > 0.8
    assert fresh.states is not None
    emitted = emissions(fitted.body, fresh.texts, fresh.states, range(60))
    found = [
        [span for span, _ in fitted.body.entities(one, windows_of(fresh.states, row), fresh.texts[row])]
        for row, one in enumerate(emitted)
    ]
    assert float(tagging.f1(tagging.counts(fresh.spans, found, TYPES).sum(axis=0))) > 0.8
    assert [one.metrics["entity_f1"] for one in told if one.metrics]
    assert all(one.phase == "train" and one.step <= one.total for one in told)
    assert told[-1].seconds_left is not None


def test_two_rows_of_which_one_has_no_word_are_enough_to_go_on() -> None:
    data = tagged(2)
    assert data.states is not None
    words = data.states.words.copy()
    words[data.states.windows[1, 1] :] = -1
    fitted = fit(replace(data, states=replace(data.states, words=words)), spec(epochs=1))
    assert fitted.found[1] == []


def test_labels_without_sense_are_not_found_in_held_out_rows() -> None:
    data = tagged(80)
    random = np.random.default_rng(0)
    shuffled = [data.spans[at] for at in random.permutation(80)]
    fitted = fit(replace(data, spans=shuffled), spec(epochs=3))
    assert f1_of(fitted, replace(data, spans=shuffled)) < 0.3


def test_words_of_overlapping_windows_are_learned_and_found_once() -> None:
    data = tagged(60, window=8)
    assert data.states is not None
    assert max(len(windows_of(data.states, row)) for row in range(60)) > 2
    fitted = fit(data, spec(epochs=6))
    assert f1_of(fitted, data) > 0.6
    for one in fitted.found:
        starts = [span.start for span, _ in one]
        assert starts == sorted(set(starts))


def test_a_batch_holds_the_means_of_words_and_their_tags() -> None:
    data = tagged(4)
    assert data.states is not None
    lines, cut = lines_of(data, data.states)
    batch = batch_of(lines[:2], data.states, (2,))
    assert cut == 0
    assert batch.lengths.tolist() == [len(data.texts[row].split()) for row in (0, 1)]
    assert batch.states.shape == (int(batch.lengths.sum()), 8)
    expected = data.states.values[1:3, 1].astype(np.float32).mean(axis=0)
    np.testing.assert_allclose(batch.states[0].numpy(), expected, atol=1e-6)
    tags = batch.tags[0, : batch.lengths[0]].tolist()
    assert sum(tag % 2 for tag in tags) == len(data.spans[0])


def test_options_are_checked() -> None:
    seq_crf.check({"epochs": "5", "layers": "0 2"}, (), TaskKind.ENTITIES)
    for options in ({"epoch": 5}, {"epochs": "many"}, {"dropout": 1.0}, {"rank": 0}, {"layers": 3.5}, {"rate": 7}):
        with pytest.raises(InvalidArgument):
            seq_crf.check(options, (), TaskKind.ENTITIES)
    with pytest.raises(InvalidArgument):
        seq_crf.check({}, (), TaskKind.SINGLE_LABEL)
    with pytest.raises(InvalidArgument, match="Layer 5"):
        fit(tagged(4), spec(layers=(0, 5)))


def test_texts_without_words_teach_nothing() -> None:
    data = tagged(3)
    assert data.states is not None
    blank = replace(data.states, words=np.full_like(data.states.words, -1))
    with pytest.raises(NoExamples):
        fit(replace(data, states=blank), spec())
    with pytest.raises(InvalidArgument):
        fit(replace(data, states=None), spec())
