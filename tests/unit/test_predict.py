"""Predict on a real lane with a tiny encoder: which rows are made, and which answer goes where."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from house import INPUTS, TEXTS, House

from candelabra import errors
from candelabra.predict import Answers
from candelabra.testing import TinyEncoder, tiny_tokenizer
from candelabra.types import HeadRef, Input, LongText, OwnedName, Slot


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    made.lane.start()
    yield made
    await made.close()


def scores(answers: Answers, text: int, head: int) -> dict[str, float]:
    return {one.label: one.probability for one in answers.rows[text][head].scores}


async def test_every_text_meets_every_head(house: House) -> None:
    heads = [
        house.add("acme/one"),
        house.add("acme/two", labels=("yes", "no"), slots=2),
        house.add("acme/three", multi=True),
    ]
    answers = await house.predict(INPUTS, ["acme/one", "acme/two", "acme/three"])
    assert [version.name for version in answers.versions] == ["acme/one@1", "acme/two@1", "acme/three@1"]
    for i, text in enumerate(TEXTS):
        for j, head in enumerate(heads):
            wanted = house.expected(head, text)
            found = scores(answers, i, j)
            assert [found[label] for label in head.labels] == pytest.approx(wanted, abs=1e-5)
            chosen = {one.label for one in answers.rows[i][j].labels}
            assert chosen == {head.labels[k] for k in head.decide(wanted)}
    assert house.encoded() == len(TEXTS)  # three heads, one pass a text
    spent = answers.timings
    assert spent.total >= spent.tokenize + spent.encode
    assert min(spent.tokenize, spent.queue, spent.encode, spent.head) >= 0


async def test_a_text_is_tokenized_once_for_all_heads_that_read_it_alike(house: House) -> None:
    plain, split = house.predict.tokenizer, []

    def counting(texts: Sequence[str]) -> list[list[int]]:
        split.append(list(texts))
        return plain.encode(texts)

    house.predict.tokenizer = replace(plain, encode=counting)
    names = [f"acme/head-{number}" for number in range(4)]
    for name in names:
        house.add(name)
    await house.predict(INPUTS, names)
    assert split == [list(TEXTS)]
    assert house.encoded() == len(TEXTS)


async def test_equal_texts_share_a_row(house: House) -> None:
    head = house.add("acme/one")
    answers = await house.predict([INPUTS[0], INPUTS[1], INPUTS[0]], ["acme/one", "acme/one"])
    assert house.encoded() == 2
    assert scores(answers, 0, 0) == scores(answers, 2, 1) != scores(answers, 1, 0)
    assert scores(answers, 1, 1)["red"] == pytest.approx(house.expected(head, TEXTS[1])[0], abs=1e-5)


async def test_a_domain_may_read_and_decide_in_its_own_way(house: House) -> None:
    plain, loud = house.add("acme/plain"), house.add("acme/loud", domain="loud")
    answers = await house.predict(INPUTS, ["acme/plain", "acme/loud"])
    assert house.encoded() == 2 * len(TEXTS)
    for i, text in enumerate(TEXTS):
        read = " ".join(reversed(text.split())) + " indeed"
        assert scores(answers, i, 0)["red"] == pytest.approx(house.expected(plain, text)[0], abs=1e-5)
        assert scores(answers, i, 1)["red"] == pytest.approx(house.expected(loud, read)[0], abs=1e-5)
        assert answers.rows[i][0].values == {}
        assert answers.rows[i][1].values == {"words": len(text.split())}  # of the caller's text, not the read one
        assert [one.label for one in answers.rows[i][1].labels] == ["grey"]


async def test_top_k_cuts_the_scores_and_not_the_decision(house: House) -> None:
    house.add("acme/one", multi=True)
    whole = await house.predict(INPUTS, ["acme/one"])
    for k in (0, 1, 2, 4, 99):
        answers = await house.predict(INPUTS, ["acme/one"], top_k=k)
        for row, full in zip(answers.rows, whole.rows, strict=True):
            assert list(row[0].scores) == list(full[0].scores)[: k or None]
            assert list(row[0].labels) == list(full[0].labels)
    probabilities = [one.probability for one in whole.rows[0][0].scores]
    assert probabilities == sorted(probabilities, reverse=True)
    with pytest.raises(errors.InvalidArgument, match="top_k"):
        await house.predict(INPUTS, ["acme/one"], top_k=-1)


async def test_versions_are_pinned_by_number_and_alias(house: House) -> None:
    old, new = house.add("acme/one"), house.add("acme/one")
    house.registry.heads.set_alias(HeadRef(OwnedName("acme", "one"), 1), "stable")
    house.shelf.refresh()
    names = ["acme/one@1", "acme/one", "acme/one@live", "acme/one@stable"]
    answers = await house.predict([INPUTS[0]], names)
    assert [version.version for version in answers.versions] == [1, 2, 2, 1]
    reds = [scores(answers, 0, j)["red"] for j in range(4)]
    wanted = [house.expected(head, TEXTS[0])[0] for head in (old, new, new, old)]
    assert reds == pytest.approx(wanted, abs=1e-5)
    assert wanted[0] != pytest.approx(wanted[1], abs=1e-3)
    assert house.encoded() == 1


async def test_a_head_of_a_domain_that_is_not_installed_is_named(house: House) -> None:
    house.add("acme/law", domain="law")
    with pytest.raises(errors.UnknownDomain, match="law") as refused:
        await house.predict(INPUTS, ["acme/law"])
    assert refused.value.metadata == {"domain": "law", "head": "acme/law@1"}


async def test_what_is_wrong_with_a_request_is_told_before_it_is_encoded(house: House) -> None:
    house.add("acme/one")
    house.encoder.calls.clear()
    for texts, heads, wrong in (
        ([], ["acme/one"], errors.InvalidArgument),
        (TEXTS, [], errors.InvalidArgument),
        ([" "], ["acme/one"], errors.InvalidText),
        (["a"] * 9, ["acme/one"], errors.LimitExceeded),
        (TEXTS, ["acme/one"] * 9, errors.LimitExceeded),
        (TEXTS, ["acme/nobody"], errors.HeadNotFound),
        (TEXTS, ["acme/one@7"], errors.VersionNotFound),
        (TEXTS, ["acme/one@canary"], errors.AliasNotFound),
        (TEXTS, ["acme"], errors.InvalidName),
    ):
        with pytest.raises(wrong):
            await house.predict([Input(text) for text in texts], heads)
    with pytest.raises(errors.DeadlinePassed):
        await house.predict(INPUTS, ["acme/one"], deadline=time.monotonic() - 1)
    assert house.encoder.calls == []


async def test_embed_gives_the_vectors_of_a_slot(house: House) -> None:
    slot = Slot(1, "cls")
    vectors = await house.predict.embed(TEXTS, slot, LongText.TRUNCATE, "acme")
    tokens = tiny_tokenizer().split(TEXTS, LongText.TRUNCATE)
    wanted = TinyEncoder().encode([one.windows[0] for one in tokens], [slot]).pooled[:, 0]
    assert np.allclose(vectors.values, wanted, atol=1e-6)
    assert [one.count for one in vectors.tokens] == [one.count for one in tokens]
    scaled = await house.predict.embed(TEXTS, slot, LongText.TRUNCATE, "acme", normalize=True)
    assert np.allclose(np.linalg.norm(scaled.values, axis=1), 1, atol=1e-5)
    with pytest.raises(errors.InvalidArgument, match="layers 0 to 2"):
        await house.predict.embed(TEXTS, Slot(3, "mean"), LongText.TRUNCATE, "acme")
