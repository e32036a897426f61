"""What callers send about texts: inputs of a Predict and labelled examples, as the project's types. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from candelabra.types import Example, Input, Span
from candelabra.v1 import common_pb2, inference_pb2


def inputs(messages: Iterable[inference_pb2.Input]) -> list[Input]:
    return [Input(one.text, one.text_pair, one.question) for one in messages]


def examples(messages: Iterable[common_pb2.Example]) -> list[Example]:
    return [example(one) for one in messages]


def example(message: common_pb2.Example) -> Example:
    """`tokens` become a text, one space between two, that their tags are counted along."""
    return Example(
        text=" ".join(message.tokens) if message.tokens and not message.text else message.text,
        labels=tuple(message.labels),
        text_pair=message.text_pair,
        question=message.question,
        target=message.target if message.HasField("target") else None,
        spans=tuple([Span(span.start, span.end, span.label) for span in message.spans]),
        soft=dict(message.soft_labels),
        votes=tuple([(vote.function, vote.label) for vote in message.votes]),
        id=message.id,
        tags=tuple(message.tags),
    )
