"""Inputs and examples come in as they were sent, every field of them."""

from __future__ import annotations

from dataclasses import fields

from candelabra.rpc.examples import example, examples, inputs
from candelabra.types import Example, Input, Span
from candelabra.v1 import common_pb2, inference_pb2


def test_inputs_come_in_with_what_stands_beside_the_text() -> None:
    messages = [inference_pb2.Input(text="one"), inference_pb2.Input(text="two", text_pair="2", question="why?")]
    assert inputs(messages) == [Input("one"), Input("two", "2", "why?")]


def test_plain_examples_come_in_as_they_are() -> None:
    messages = [common_pb2.Example(text="ä b", labels=["x", "y"]), common_pb2.Example(text="c")]
    assert examples(messages) == [Example("ä b", ("x", "y")), Example("c")]


def test_no_field_is_forgotten() -> None:
    message = common_pb2.Example(
        text="a text",
        labels=["x"],
        text_pair="another",
        question="which?",
        target=0.0,
        spans=[common_pb2.Span(start=2, end=6, label="WORD")],
        tags=["O", "B-WORD"],
        soft_labels={"x": 0.25},
        votes=[common_pb2.Vote(function="f", label="x")],
        id="row-1",
    )
    made = example(message)
    assert made.target == 0.0
    assert made.spans == (Span(2, 6, "WORD"),)
    assert (made.soft, made.votes, made.tags, made.id) == ({"x": 0.25}, (("f", "x"),), ("O", "B-WORD"), "row-1")
    assert [one.name for one in fields(made) if getattr(made, one.name) in ("", (), None, {})] == []


def test_tokens_become_the_text_that_their_tags_are_counted_along() -> None:
    made = example(common_pb2.Example(tokens=["Greta", "sings"], tags=["B-PERSON", "O"]))
    assert (made.text, made.tags) == ("Greta sings", ("B-PERSON", "O"))
    assert example(common_pb2.Example(text="x")).target is None
