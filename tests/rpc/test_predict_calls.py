"""Predict, its stream, and Embed over the wire."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sentences import COOKING, FOOTBALL, WEATHER, topics

from candelabra.testing.server import Server
from candelabra_client import Client, DeadlineExceeded, InvalidArgument

PAIR = ("weather", "football")


@pytest.fixture(scope="module")
def heads(server: Server) -> list[str]:
    with Client(server.address) as client:
        client.adapt("predict/topics", topics(), wait=True, timeout=120)
        client.adapt("predict-two/pair", topics(PAIR), wait=True, timeout=120)
        many = [(text, [label, "outdoors"] if label in PAIR else [label]) for text, label in topics()]
        client.adapt("predict/many", many, task="multi_label", wait=True, timeout=120)
    return ["predict/topics", "predict-two/pair", "predict/many"]


def test_every_input_is_answered_by_every_head_in_order(client: Client, heads: list[str]) -> None:
    texts = ["Bake the bread for an hour.", "The striker scored a penalty.", "Snow and wind all night."]
    answers = client.predict(texts, heads)
    assert [served.name for served in answers.heads] == [f"{head}@1" for head in heads]
    assert [answer[0].label for answer in answers] == ["cooking", "football", "weather"]
    for answer in answers:
        assert [prediction.head for prediction in answer] == [f"{head}@1" for head in heads]
        assert [len(prediction.scores) for prediction in answer] == [3, 2, 4]
        assert sum(answer[0].scores.values()) == pytest.approx(1, abs=1e-5)
        assert list(answer[0].scores.values()) == sorted(answer[0].scores.values(), reverse=True)
    assert set(answers[1][2].labels) == {"football", "outdoors"}
    assert answers.backbone.startswith("all-minilm-l6-v2")
    assert all(served.digest.startswith("sha256:") for served in answers.heads)
    assert answers.timings.total >= answers.timings.encode + answers.timings.tokenize > 0


def test_a_text_is_answered_the_same_whoever_shares_its_batch(client: Client, heads: list[str]) -> None:
    texts = [*WEATHER, *COOKING, *FOOTBALL, "word " * 150]
    together = client.predict(texts, heads[0])
    for text, answer in zip(texts, together, strict=True):
        alone = client.predict(f"{text} ", heads[0])[0]
        assert alone[0].label == answer[0].label
        assert alone[0].scores == pytest.approx(dict(answer[0].scores), abs=1e-4)


def test_top_k_keeps_the_most_probable(client: Client, heads: list[str]) -> None:
    full = client.predict("Rain and fog.", heads[0])[0][0]
    best = client.predict("Rain and fog.", heads[0], top_k=1)[0][0]
    assert list(best.scores.items()) == list(full.scores.items())[:1]
    assert best.labels == full.labels


def test_a_long_text_is_cut_or_read_in_windows_as_the_domain_says(client: Client) -> None:
    client.adapt("predict/cut", topics(PAIR), wait=True, timeout=120)
    client.adapt("predict/windows", topics(PAIR), domain="legal", task="clause_type", wait=True, timeout=120)
    text = f"{'The parties met again and again. ' * 60} The goalkeeper saved a penalty."
    cut, windows = client.predict(text, ["predict/cut", "predict/windows"])[0]
    assert (cut.truncated, cut.windows) == (True, 1)
    assert not windows.truncated
    assert windows.windows > 1
    assert windows.tokens > cut.tokens


def test_the_stream_keeps_order_and_survives_a_bad_request(client: Client, heads: list[str]) -> None:
    texts = [*WEATHER, "", *COOKING]
    answers = list(client.predict_stream(([text] for text in texts), heads[0]))
    assert len(answers) == len(texts)
    labels = [None if one.error else one[0].label for one in answers]
    assert labels == ["weather"] * 12 + [None] + ["cooking"] * 12
    assert isinstance(answers[12].error, InvalidArgument)
    assert answers[12].error.reason == "INVALID_TEXT"


def test_a_deadline_is_kept(client: Client, heads: list[str]) -> None:
    began = time.perf_counter()
    with pytest.raises(DeadlineExceeded):
        client.predict(
            [f"{text} {number}" for number in range(7) for text in WEATHER + COOKING + FOOTBALL], heads[0], timeout=0.05
        )
    assert time.perf_counter() - began < 2


def test_odd_but_valid_texts_are_answered(client: Client, heads: list[str]) -> None:
    odd = ["🌧️🌧️", "\u202eabc", "e\u0301" * 50, "\ufffd", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "a" * 5000, "\u200b.", "東京は雨です", "\x07bell"]
    for answer in client.predict(odd, heads):
        assert all(np.isfinite(list(prediction.scores.values())).all() for prediction in answer)


def test_embed_gives_the_vectors_that_heads_see(client: Client) -> None:
    mean = client.embed(["Rain.", "Soup."], normalize=True)
    assert len(mean.embeddings) == 2
    assert np.linalg.norm(mean.embeddings[0].values) == pytest.approx(1, abs=1e-5)
    first = client.embed("Rain.", layer=1).embeddings[0].values
    cls = client.embed("Rain.", pooling="cls").embeddings[0].values
    assert len({tuple(np.round(vector, 4)) for vector in (mean.embeddings[0].values, first, cls)}) == 3
