"""Predict for every task: entities, answers, numbers, pairs, and what answers say of themselves; one pass a text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from house import LABELS, House

from candelabra import errors, predict
from candelabra.answers import signed
from candelabra.engine.row import Inputs
from candelabra.engine.tokenizer import Tokens
from candelabra.heads.bodies import span_network, tagger_network
from candelabra.heads.bodies.dense import Dense
from candelabra.heads.bodies.pair import Pair
from candelabra.heads.bodies.span import SpanFinder
from candelabra.heads.bodies.tagger import Tagger
from candelabra.heads.guards import Conformal, Guards
from candelabra.heads.head import Head
from candelabra.heads.outside import Outside
from candelabra.predict import Details
from candelabra.testing import TinyEncoder, tiny_tokenizer
from candelabra.types import Input, LongText, Reading, Slot, Span, TaskKind, VersionInfo

MEAN = Slot(2, "mean")
USUAL = (Slot(1, "mean"), MEAN)
TEXT = "Dr Mary Lea of Dover saw the red barn burn ; nobody in Dover was hurt ."
LONG = " ".join(f"{TEXT} {k}" for k in range(12))


def tagger(house: House, seed: int = 0) -> Tagger:
    torch.manual_seed(seed)
    shape = tagger_network.Shape(width=2 * house.encoder.info.dimension, types=2, rank=8, hidden=6, letter=4, filters=4)
    weights = tagger_network.Network(shape).state_dict()
    return Tagger(("place", "person"), (1, 2), shape.about(), {name: one.numpy() for name, one in weights.items()})


def span_finder(house: House) -> SpanFinder:
    torch.manual_seed(0)
    shape = span_network.Shape(layers=1, dimension=house.encoder.info.dimension, width=8, heads=2, hidden=8, blocks=1)
    weights = {f"network.{name}": one.numpy() for name, one in span_network.Network(shape).state_dict().items()}
    empty = np.zeros(0, np.float32)
    return SpanFinder((2,), shape.about(), 6, {**weights, "rarity.ids": empty, "rarity.values": empty})


def add_tagger(house: House, name: str = "acme/names", **more: Any) -> Head:
    about = {"task": "entities", "labels": ("place", "person"), "kind": TaskKind.ENTITIES, **more}
    return house.add_body(name, tagger(house), **about)


def add_number(house: House, name: str = "acme/number", **more: Any) -> Head:
    return house.add_body(name, house.dense(1), ("number",), TaskKind.REGRESSION, task="regression", **more)


class Comparison(Pair):
    kind = "fake-pair"


def pair_body(house: House) -> Pair:
    random = np.random.default_rng(9)
    width = house.encoder.info.dimension
    parts = (("first", 0), ("difference", 1), ("product", 0), ("cosine", 1))
    weight = random.normal(size=(3 * width + 1, 2)).astype(np.float32)
    return Comparison((MEAN, Slot(1, "cls")), width, parts, weight, np.zeros(2, np.float32))


def guards(house: House, kind: Any = "label", texts: int = 40) -> Guards:
    """Of texts made of the words of TEXT."""
    random, words = np.random.default_rng(3), TEXT.split()
    tokens = tiny_tokenizer().split([" ".join(random.choice(words, 12)) for _ in range(texts)], LongText.TRUNCATE)
    features = TinyEncoder().encode([one.windows[0] for one in tokens], USUAL).pooled
    return Guards(Conformal.of(kind, np.linspace(0.05, 0.95, 19)), Outside.fit(USUAL, features))


def joint(first: str, second: str, slots: tuple[Slot, ...] = (MEAN,)) -> np.ndarray:
    [tokens] = tiny_tokenizer().split_pairs([first], [second], LongText.TRUNCATE)
    return TinyEncoder().encode(tokens.windows, slots).pooled.reshape(1, -1)


def by_hand(head: Head, tokens: Tokens, text: str) -> Any:
    """A head's scores for tokens, without Predict and its lane."""
    states = TinyEncoder().encode(tokens.windows, [], head.layers, range(len(tokens.windows))).states
    inputs = Inputs(np.zeros((1, 0)), [[states[k] for k in range(len(tokens.windows))]], [text], [tokens.windows])
    return head.scores(inputs)[0]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    made.lane.start()
    yield made
    await made.close()


async def test_heads_of_four_tasks_share_one_pass(house: House) -> None:
    """The point of the server: names, classes, tags of a text and a number, all out of one look at it."""
    names, number, kind = add_tagger(house), add_number(house), house.add("acme/kind")
    house.add("acme/tags", multi=True, slots=2)
    answers = await house.predict([Input(TEXT)], ["acme/kind", "acme/names", "acme/number", "acme/tags"])
    assert house.encoder.calls == [[len(TEXT.split()) + 2]]
    found_kind, found_names, found_number, found_tags = answers.rows[0]
    assert {one.label: one.probability for one in found_kind.scores} == pytest.approx(
        dict(zip(LABELS, house.expected(kind, TEXT), strict=True)), abs=1e-5
    )
    assert len(found_tags.scores) == len(LABELS)
    assert found_number.value == pytest.approx(house.expected(number, TEXT)[0], abs=1e-5)
    assert (found_number.labels, found_number.scores) == ((), ())
    [tokens] = tiny_tokenizer().split([TEXT], LongText.WINDOWS, offsets=True)
    wanted = names.body.entities(by_hand(names, tokens, TEXT), tokens.windows, TEXT)  # type: ignore[attr-defined]
    assert [span for span, _ in found_names.spans] == [span for span, _ in wanted]
    assert [p for _, p in found_names.spans] == pytest.approx([p for _, p in wanted], abs=1e-5)
    assert wanted


async def test_heads_of_two_domains_that_read_alike_share_one_pass_too(house: House) -> None:
    add_tagger(house, domain="loud")  # whose labels read texts backwards; offsets count in the caller's
    house.add("acme/kind")
    house.add("acme/mood", domain="careful", labels=("bad", "good"))
    await house.predict([Input(TEXT)], ["acme/names", "acme/kind", "acme/mood"])
    assert house.encoded() == 1


async def test_long_texts_lie_in_windows_for_entities_and_are_cut_for_labels(house: House) -> None:
    names = add_tagger(house)
    house.add("acme/kind")
    answers = await house.predict([Input(LONG)], ["acme/kind", "acme/names"])
    cut, whole = answers.rows[0]
    assert (len(cut.tokens.windows), cut.tokens.truncated) == (1, True)
    assert (len(whole.tokens.windows) > 1, whole.tokens.truncated) == (True, False)
    wanted = names.body.entities(by_hand(names, whole.tokens, LONG), whole.tokens.windows, LONG)  # type: ignore[attr-defined]
    assert [span for span, _ in whole.spans] == [span for span, _ in wanted]
    assert max(span.end for span, _ in whole.spans) > len(LONG) // 2


async def test_an_answer_is_a_piece_of_the_callers_text(house: House) -> None:
    head = house.add_body(
        "acme/asked", span_finder(house), ("answer",), TaskKind.ANSWER, task="question_answering",
        reading=Reading.QUESTION,
    )  # fmt: skip
    given = [Input(TEXT, question="who saw the barn ?"), Input(LONG, question="where is Dover ?")]
    answers = await house.predict(given, ["acme/asked"], top_k=3)
    for one, [found] in zip(given, answers.rows, strict=True):
        [tokens] = tiny_tokenizer().split_questions([one.question], [one.text])
        wanted, none = head.body.answers(by_hand(head, tokens, one.text), tokens.windows, one.text, 3)  # type: ignore[attr-defined]
        assert [span for span, _ in found.answers] == [span for span, _ in wanted]
        assert found.no_answer == pytest.approx(none, abs=1e-5)
        assert 0 < len(found.answers) <= 3
        assert all(one.text[span.start : span.end].strip() for span, _ in found.answers)
    assert len(answers.rows[1][0].tokens.windows) > 1
    assert len((await house.predict(given, ["acme/asked"])).rows[0][0].answers) == 5


async def test_a_pair_is_read_together_or_each_text_on_its_own(house: House) -> None:
    together = house.add_body(
        "acme/joint", house.dense(2), ("same", "other"), TaskKind.SINGLE_LABEL, task="pair_classification",
        reading=Reading.JOINT,
    )  # fmt: skip
    apart = house.add_body(
        "acme/apart", pair_body(house), ("same", "other"), TaskKind.SINGLE_LABEL, task="pair_classification",
        reading=Reading.SEPARATE,
    )  # fmt: skip
    kind = house.add("acme/kind")
    pairs = [("a red barn", "the barn is red"), ("a red barn", "a red barn"), ("the barn is red", "nobody saw it")]
    given = [Input(first, second) for first, second in pairs]
    answers = await house.predict(given, ["acme/joint", "acme/apart", "acme/kind"])
    for (first, second), (a, b, c) in zip(pairs, answers.rows, strict=True):
        wanted = together.scores(Inputs(joint(first, second)))[0]
        assert {one.label: one.probability for one in a.scores}["same"] == pytest.approx(wanted[0], abs=1e-5)
        read = [one.windows[0] for one in tiny_tokenizer().split([first, second], LongText.TRUNCATE)]
        vectors = TinyEncoder().encode(read, apart.slots).pooled.reshape(1, -1)
        wanted = apart.scores(Inputs(vectors))[0]
        assert {one.label: one.probability for one in b.scores}["same"] == pytest.approx(wanted[0], abs=1e-5)
        assert b.tokens.count == sum(len(one) for one in read)
        assert c.scores[0].probability == pytest.approx(max(house.expected(kind, first)), abs=1e-5)
    assert house.encoded() == 3 + 3  # three pairs, three different texts


@pytest.mark.parametrize(
    ("reading", "given", "field"),
    [
        (Reading.JOINT, Input("a barn"), "inputs[1].text_pair"),
        (Reading.SEPARATE, Input("a barn", question="why?"), "inputs[1].text_pair"),
        (Reading.QUESTION, Input("a barn", text_pair="a house"), "inputs[1].question"),
    ],
)
async def test_a_head_that_misses_its_second_text_says_which(
    house: House, reading: Reading, given: Input, field: str
) -> None:
    house.add_body("acme/two", house.dense(2), ("a", "b"), TaskKind.SINGLE_LABEL, reading=reading)
    whole = Input("a barn", "a house", "why?")
    with pytest.raises(errors.InvalidArgument, match=r"acme/two@1.*inputs\[1\]") as refused:
        await house.predict([whole, given], ["acme/two"])
    assert refused.value.metadata["field"] == field
    assert house.encoder.calls == []


async def test_sets_intervals_and_strangeness_come_where_they_are_asked(house: House) -> None:
    kind = house.add_body("acme/kind", house.dense(4), LABELS, TaskKind.SINGLE_LABEL, guards=guards(house))
    add_number(house, guards=guards(house, "number"))
    add_tagger(house, guards=guards(house))
    house.add("acme/bare")
    names = ["acme/kind", "acme/number", "acme/names", "acme/bare"]
    plain = (await house.predict([Input(TEXT)], names)).rows[0]
    assert {(one.prediction_set, one.interval, one.outside) for one in plain} == {(None, None, None)}
    strange = Input("zzz qqq xxx")
    answers = await house.predict([Input(TEXT), strange], names, details=Details(0.8, outside=True))
    first, number, named, bare = answers.rows[0]
    inside = guards(house).prediction_sets(house.expected(kind, TEXT)[None], 0.8)[0]
    assert set(first.prediction_set or ()) == {LABELS[k] for k in np.flatnonzero(inside)}
    assert number.value is not None
    assert number.interval == pytest.approx((number.value - 0.8, number.value + 0.8), abs=1e-5)
    assert (bare.prediction_set, bare.outside) == (None, None)
    for near, far in zip(answers.rows[0][:3], answers.rows[1][:3], strict=True):
        assert near.outside is not None
        assert far.outside is not None
        assert near.outside < 0.99 <= far.outside
        assert (near.is_outside, far.is_outside) == (False, True)
    assert (first.abstained, named.abstained) == ("", "")
    for wrong in (-0.1, 1.0, float("nan")):
        with pytest.raises(errors.InvalidArgument, match="coverage"):
            await house.predict([Input(TEXT)], names, details=Details(wrong))


async def test_a_pair_read_apart_is_strange_by_what_both_texts_are_together(house: House) -> None:
    body, about = pair_body(house), {"task": "pair_classification", "reading": Reading.SEPARATE}
    house.add_body("acme/apart", body, ("same", "other"), TaskKind.SINGLE_LABEL, guards=guards(house), **about)
    answers = await house.predict([Input("a barn", "a house")], ["acme/apart"], details=Details(outside=True))
    wanted = guards(house).outside_scores(joint("a barn", "a house", USUAL))
    assert wanted is not None
    assert answers.rows[0][0].outside == pytest.approx(wanted[0])
    assert house.encoded() == 3


async def test_ordered_labels_have_a_signed_score_and_unsure_ones_none_at_all(house: House) -> None:
    head = house.add_body(
        "acme/mood", house.dense(2), ("good", "bad"), TaskKind.SINGLE_LABEL, domain="careful", task="mood"
    )
    texts = [f"mood number {k}" for k in range(8)]
    for text, [found] in zip(texts, (await house.predict([Input(t) for t in texts], ["acme/mood"])).rows, strict=True):
        good, bad = house.expected(head, text)
        assert found.values["score"] == pytest.approx(good - bad, abs=1e-5)
        assert found.abstained == ""  # of two labels one always has half
    nothing = Dense((MEAN,), ((np.zeros((house.encoder.info.dimension, 3)), np.zeros(3)),))
    moods = ("bad", "so-so", "good")
    house.add_body("acme/three", nothing, moods, TaskKind.SINGLE_LABEL, domain="careful", task="mood")
    [[found]] = (await house.predict([Input(TEXT)], ["acme/three"])).rows
    assert (found.abstained, found.labels) == ("below_threshold", ())
    assert len(found.scores) == 3


async def test_a_head_of_a_careful_domain_is_silent_about_strange_texts(house: House) -> None:
    about = {"domain": "careful", "task": "strange", "guards": guards(house)}
    house.add_body("acme/kind", house.dense(4), LABELS, TaskKind.SINGLE_LABEL, **about)
    house.add_body("acme/names", tagger(house), ("place", "person"), TaskKind.ENTITIES, **about)
    names = ["acme/kind", "acme/names"]
    answers = await house.predict([Input(TEXT), Input("zzz qqq xxx")], names)
    assert [[one.abstained for one in row] for row in answers.rows] == [["", ""], ["outside", "outside"]]
    assert len(answers.rows[0][0].labels) == 1
    assert answers.rows[1][0].labels == ()
    assert answers.rows[1][1].spans == ()
    assert answers.rows[0][0].outside is not None


def test_the_signed_score_is_the_expected_place_of_the_label() -> None:
    order = ("bad", "so-so", "good")
    assert signed([0.0, 0.0, 1.0], order, order) == 1.0
    assert signed([1.0, 0.0, 0.0], order, order) == -1.0
    assert signed([0.25, 0.5, 0.25], order, order) == 0.0
    assert signed([0.0, 1.0], ("good", "so-so"), order) == 0.0  # a head may know fewer labels, in any order
    assert signed([1.0, 0.0], ("low", "high"), ()) == -1.0


async def test_the_watcher_sees_one_text_of_a_request_and_not_too_often(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "WATCH_SECONDS", 1000.0)
    seen: list[tuple[str, int, int]] = []

    def watch(version: VersionInfo, head: Head, vector: np.ndarray, probabilities: np.ndarray) -> None:
        seen.append((version.name, len(vector), len(probabilities)))
        raise ValueError("a watcher that fails takes nothing with it")

    house.predict.traffic = watch
    house.add_body("acme/kind", house.dense(4), LABELS, TaskKind.SINGLE_LABEL, guards=guards(house))
    add_tagger(house, guards=guards(house))
    house.add("acme/bare")
    for _ in range(5):
        answers = await house.predict([Input(TEXT), Input("a barn")], ["acme/kind", "acme/names", "acme/bare"])
        assert {one.outside for row in answers.rows for one in row} == {None}
    width = len(USUAL) * house.encoder.info.dimension
    assert seen == [("acme/kind@1", width, 4), ("acme/names@1", width, 0)]
    seen.clear()
    house.predict._watched -= 1000.0
    await house.predict([Input(TEXT)], ["acme/kind"])
    assert len(seen) == 1


async def test_a_head_that_cannot_read_its_own_scores_is_named(house: House) -> None:
    class Torn(Tagger):
        kind = "fake-torn"

        def entities(self, *args: Any, **more: Any) -> list[tuple[Span, float]]:
            raise ZeroDivisionError("torn")

    whole = tagger(house)
    torn = Torn(whole.types, whole.layers, whole.about()["shape"], whole.tensors())  # type: ignore[arg-type]
    house.add_body("acme/torn", torn, ("place", "person"), TaskKind.ENTITIES, task="entities")
    with pytest.raises(errors.HeadUnsound, match="acme/torn@1"):
        await house.predict([Input(TEXT)], ["acme/torn"])
