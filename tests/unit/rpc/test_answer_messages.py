"""Answers of every task are told whole: nothing of them is forgotten on the way out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from messages import VERSION, filled

from candelabra import types
from candelabra.engine.tokenizer import Tokens
from candelabra.engine.window import Window
from candelabra.errors import QueueFull
from candelabra.predict import Answer, Answers, Timings, Vectors
from candelabra.rpc import answers
from candelabra.v1 import inference_pb2

TOKENS = Tokens((Window(np.array([1, 2], np.int32)), Window(np.array([3], np.int32))), True, 3)
SCORE = types.LabelScore("a", 0.75)
TIMINGS = Timings(0.1, 0.2, 0.3, 0.4, 1.1)
PLAIN = Answer(VERSION, [SCORE], [SCORE], {"total": 2.0}, TOKENS)
TEXT = "Greta 😀 sings in Tarnby."
EXTRAS = {"spans", "answers", "no_answer", "value", "interval", "prediction_set", "outside", "abstained"}


def told(answer: Answer) -> inference_pb2.Prediction:
    asked = [types.Input(TEXT)]
    message = answers.predict_response("id", Answers([VERSION], [[answer]], TIMINGS), asked, "tiny:1", 0.9)
    return message.results[0].predictions[0]


def test_an_answer_with_labels() -> None:
    message = answers.predict_response("id", Answers([VERSION], [[PLAIN]], TIMINGS), [types.Input(TEXT)], "tiny:1")
    filled(message, but={"error"})
    filled(message.heads[0])
    filled(message.timings)
    filled(message.results[0].predictions[0], but=EXTRAS)
    assert message.results[0].predictions[0].windows == 2


def test_every_part_of_an_answer_is_told() -> None:
    span = types.Span(0, 5, "PERSON")
    whole = replace(
        PLAIN,
        spans=[(span, 0.5)],
        answers=[(types.Span(6, 7, ""), 0.25)],
        no_answer=0.0,
        value=0.0,
        interval=(-1.0, 2.0),
        prediction_set=["a", "b"],
        outside=0.995,
        abstained="outside",
    )
    message = told(whole)
    filled(message)
    filled(message.spans[0], but={"start"})
    assert (message.spans[0].text, message.answers[0].text) == ("Greta", "😀")
    assert (message.interval.low, message.interval.high, message.interval.coverage) == (-1.0, 2.0, 0.9)
    assert (list(message.prediction_set.labels), message.prediction_set.coverage) == (["a", "b"], 0.9)
    assert (message.outside.score, message.outside.flag) == (0.995, True)
    assert message.HasField("value")
    assert message.HasField("no_answer")


def test_an_empty_set_is_a_set_and_no_set_is_none() -> None:
    assert told(replace(PLAIN, prediction_set=[])).HasField("prediction_set")
    assert not told(PLAIN).HasField("prediction_set")
    assert not told(replace(PLAIN, outside=0.5)).outside.flag


def test_vectors_are_told_whole() -> None:
    message = answers.embed_response(Vectors(np.ones((1, 4), np.float32), [TOKENS], TIMINGS), "tiny:1")
    filled(message)
    filled(message.embeddings[0])


def test_an_error_in_a_stream_says_what_a_status_would() -> None:
    message = answers.stream_error("7", QueueFull("Full.", limit="queue_tokens"))
    filled(message.error)
    assert (message.id, message.error.code, message.error.reason) == ("7", 14, "QUEUE_FULL")
    assert message.error.metadata == {"limit": "queue_tokens"}
