"""Training of answers: what a small set teaches, held-out texts, limits, options, seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from candelabra.adapt.methods import span
from candelabra.adapt.methods.span import Options, check, fit
from candelabra.adapt.methods.span_material import Material, held_out
from candelabra.adapt.training import TokenStates, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples
from candelabra.heads.bodies.span import SpanFinder
from candelabra.types import Method, Progress, Reading, Span, TaskKind

COLOURS = ["red", "blue", "green", "white", "black", "amber", "brown", "grey"]
THINGS = ["lamp", "table", "door", "chair", "wall", "bell", "book", "shelf"]
WORDS = {word: at + 10 for at, word in enumerate(["the", "is", "what", "colour", "?", ".", *COLOURS, *THINGS])}
DIMENSION = 16
TABLE = np.random.default_rng(7).normal(size=(64, DIMENSION)).astype(np.float16)


@dataclass(frozen=True, eq=False)
class States(TokenStates):
    """With the tokens' ids, whether or not the base has them."""

    ids: np.ndarray = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Steps this small are no work for several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def example(random: np.random.Generator) -> tuple[str, str, tuple[Span, ...]]:
    """A text of three coloured things and a question for one of them."""
    things, colours = random.permutation(THINGS)[:3], random.permutation(COLOURS)[:3]
    text = " ".join(f"the {thing} is {colour} ." for thing, colour in zip(things, colours, strict=True))
    asked = int(random.integers(3))
    start = text.index(f"{things[asked]} is ") + len(f"{things[asked]} is ")
    return text, f"what colour is the {things[asked]} ?", (Span(start, start + len(colours[asked]), ""),)


def training_set(rows: Sequence[tuple[str, str, tuple[Span, ...]]]) -> TrainingSet:
    ids, offsets, words, table = [], [], [], []
    for at, (text, question, _) in enumerate(rows):
        begin = len(ids)
        asked = [1, *(WORDS[word] for word in question.split()), 2]
        ids += [*asked, *(WORDS[word] for word in text.split()), 2]
        offsets += [(-1, -1)] * len(asked)
        words += [-1] * len(asked)
        place = 0
        for number, word in enumerate(text.split()):
            offsets.append((place, place + len(word)))
            words.append(number)
            place += len(word) + 1
        offsets.append((-1, -1))
        words.append(-1)
        table.append((at, begin, len(ids), len(asked)))
    numbers = np.array(ids, np.int32)
    # The second layer knows the thing that a colour is of, as an encoder would.
    values = np.stack([TABLE[numbers], TABLE[np.roll(numbers, 2)]], axis=1)
    states = States(
        values, (0, 2), np.array(table, np.int64), np.array(offsets, np.int32), np.array(words, np.int32), numbers
    )
    return TrainingSet(
        texts=[row[0] for row in rows],
        features=np.zeros((len(rows), 0, DIMENSION), np.float32),
        slots=(),
        labels=(),
        targets=np.zeros(0, np.int64),
        rows=np.arange(len(rows), dtype=np.uint64),
        questions=[row[1] for row in rows],
        states=states,
        spans=[row[2] for row in rows],
    )


def spec(seed: int = 0, **options: object) -> TrainSpec:
    return TrainSpec(
        task_kind=TaskKind.ANSWER,
        method=Method.SPAN,
        metric="token_f1",
        backbone="b",
        domain="d",
        task="t",
        reading=Reading.QUESTION,
        options={"width": 32, "epochs": 10, "rate": 5e-3, "dropout": 0.0, **options},
        seed=seed,
    )


def rows(count: int, seed: int = 0) -> list[tuple[str, str, tuple[Span, ...]]]:
    random = np.random.default_rng(seed)
    return [example(random) for _ in range(count)]


def share_right(body: SpanFinder, data: TrainingSet) -> float:
    material = Material.of(data)
    right = 0
    for row, logits in enumerate(body.logits(material.inputs(range(len(data.texts))))):
        (best, *_), _ = body.answers(logits, material.windows[row], data.texts[row])
        right += best[0] == data.spans[row][0]
    return right / len(data.texts)


def test_it_learns_to_read_and_tells_how_far_it_is() -> None:
    told: list[Progress] = []
    fitted = fit(training_set(rows(240)), spec(epochs=5), told.append)
    assert isinstance(fitted.body, SpanFinder)
    assert share_right(fitted.body, training_set(rows(60, seed=1))) > 0.8  # one in three by chance
    assert told[-1].step <= told[-1].total
    assert told[-1].seconds_left is not None
    assert told[-1].seconds_left < 1
    assert any("held_out_loss" in one.metrics for one in told)
    assert fitted.chosen["layers"] == "0,2"


def test_scored_rows_are_of_other_texts_and_have_an_array_a_window() -> None:
    data = training_set([one for one in rows(30) for _ in range(2)])
    fitted = fit(data, spec(epochs=1), lambda _: None)
    assert 8 <= len(fitted.rows) <= 18
    assert len(fitted.logits) == len(fitted.rows)
    held = {data.texts[row] for row in fitted.rows}
    assert held.isdisjoint(data.texts[row] for row in range(60) if row not in fitted.rows)
    for row, logits in zip(fitted.rows, fitted.logits, strict=True):
        ((begin, end, _),) = data.states.of(int(row)) if data.states else []
        assert [one.shape for one in logits] == [(end - begin, 2)]


def test_the_same_seed_gives_the_same_head() -> None:
    data = training_set(rows(40))
    one, same, other = (fit(data, spec(seed, epochs=1), lambda _: None).body.tensors() for seed in (3, 3, 4))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one if one[name].shape == other[name].shape)


def test_unanswerable_rows_are_taught_as_such() -> None:
    made = rows(200)
    # Every second question is for a thing that the text does not name.
    for at in range(0, 200, 2):
        text = made[at][0]
        absent = next(thing for thing in THINGS if thing not in text)
        made[at] = (text, f"what colour is the {absent} ?", ())
    data = training_set(made)
    body = fit(data, spec(epochs=5), lambda _: None).body
    assert isinstance(body, SpanFinder)
    material = Material.of(data)
    none = [
        body.answers(logits, material.windows[row], data.texts[row])[1]
        for row, logits in enumerate(body.logits(material.inputs(range(200))))
    ]
    assert np.mean(none[0::2]) > np.mean(none[1::2]) + 0.3


def test_a_row_whose_answer_no_window_shows_is_left_out() -> None:
    made = rows(20)
    made[3] = (made[3][0], made[3][1], (Span(5000, 5003, ""),))
    data = training_set(made)
    assert not Material.of(data).usable[3]
    fitted = fit(data, spec(epochs=1), lambda _: None)
    assert fitted.chosen["examples"] == "19"
    assert 3 not in fitted.rows
    with pytest.raises(NoExamples):
        fit(training_set([made[3]]), spec(), lambda _: None)


def test_one_text_cannot_be_held_out() -> None:
    fitted = fit(training_set(rows(1) * 5), spec(epochs=1), lambda _: None)
    assert len(fitted.rows) == 5
    assert "training rows" in fitted.evaluation


def test_held_out_rows_share_no_text_with_the_others() -> None:
    texts = [str(at // 4) for at in range(100)]
    held = held_out(texts, np.arange(100), 0.2, seed=0)
    assert 16 <= len(held) <= 24
    assert {texts[row] for row in held}.isdisjoint(texts[row] for row in set(range(100)) - set(held.tolist()))
    assert len(held_out(["same"] * 9, np.arange(9), 0.2, seed=0)) == 0


def test_rarity_counts_each_text_once() -> None:
    common = rows(1)[0]
    material = Material.of(training_set([common] * 6 + rows(3, seed=5)))
    table = material.rarity(np.arange(9))
    shares = table.of(np.array([1, WORDS["the"], 63]))
    assert shares[0] == 0.0
    assert shares[1] < 0.05
    assert shares[2] == 1.0


@pytest.mark.parametrize(
    "options",
    [{"depth": 3}, {"epochs": 0}, {"epochs": 1.5}, {"rate": "fast"}, {"width": 30}, {"dropout": True}, {"blocks": 99}],
)
def test_options_of_nonsense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        check(options, (), TaskKind.ANSWER)


def test_it_is_for_answers_only() -> None:
    with pytest.raises(InvalidArgument, match="SPAN"):
        check({}, (), TaskKind.SINGLE_LABEL)
    check({"rate": 1, "epochs": 3}, (), TaskKind.ANSWER)
    assert Options.parse({"longest": 7}).longest == 7
    assert set(span.LIMITS) == {"epochs", "rate", "decay", "dropout", "width", "blocks", "longest"}
