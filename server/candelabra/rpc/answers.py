"""Answers of Predict and Embed as messages. Pure, and apart from the rest because these are many and must be quick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from candelabra import types
from candelabra.errors import Error
from candelabra.predict import Answer, Answers, Timings, Vectors
from candelabra.rpc.status import code_of
from candelabra.v1 import common_pb2, inference_pb2


def label_scores(scores: Iterable[types.LabelScore]) -> list[common_pb2.LabelScore]:
    make = common_pb2.LabelScore
    return [make(label=one.label, probability=one.probability) for one in scores]


def prediction(answer: Answer, text: str, coverage: float = 0.0) -> inference_pb2.Prediction:
    """`text` is the input's: spans point into it."""
    made = inference_pb2.Prediction(
        head=answer.version.name,
        labels=label_scores(answer.labels),
        scores=label_scores(answer.scores),
        values=dict(answer.values),
        truncated=answer.tokens.truncated,
        windows=len(answer.tokens.windows),
        tokens=answer.tokens.count,
        value=answer.value,
        no_answer=answer.no_answer,
        abstained=answer.abstained,
    )
    if answer.spans:
        made.spans.extend(scored_span(span, probability, text) for span, probability in answer.spans)
    if answer.answers:
        made.answers.extend(scored_span(span, probability, text) for span, probability in answer.answers)
    if answer.interval is not None:
        low, high = answer.interval
        made.interval.CopyFrom(inference_pb2.Interval(low=low, high=high, coverage=coverage))
    if answer.prediction_set is not None:
        made.prediction_set.CopyFrom(inference_pb2.PredictionSet(labels=answer.prediction_set, coverage=coverage))
    if answer.outside is not None:
        made.outside.CopyFrom(inference_pb2.Outside(score=answer.outside, flag=answer.is_outside))
    return made


def scored_span(span: types.Span, probability: float, text: str) -> inference_pb2.ScoredSpan:
    return inference_pb2.ScoredSpan(
        start=span.start, end=span.end, label=span.label, probability=probability, text=text[span.start : span.end]
    )


def served_head(version: types.VersionInfo) -> inference_pb2.ServedHead:
    return inference_pb2.ServedHead(name=version.name, digest=version.digest, domain=version.domain, task=version.task)


def timings(spent: Timings) -> inference_pb2.Timings:
    return inference_pb2.Timings(
        tokenize=spent.tokenize, queue=spent.queue, encode=spent.encode, head=spent.head, total=spent.total
    )


def predict_response(
    id: str,  # noqa: A002
    answers: Answers,
    inputs: Sequence[types.Input],
    backbone: str,
    coverage: float = 0.0,
) -> inference_pb2.PredictResponse:
    return inference_pb2.PredictResponse(
        id=id,
        heads=[served_head(version) for version in answers.versions],
        results=[
            inference_pb2.InputResult(predictions=[prediction(answer, one.text, coverage) for answer in row])
            for one, row in zip(inputs, answers.rows, strict=True)
        ],
        backbone=backbone,
        timings=timings(answers.timings),
    )


def stream_error(id: str, error: Error) -> inference_pb2.PredictResponse:  # noqa: A002
    return inference_pb2.PredictResponse(
        id=id,
        error=inference_pb2.StreamError(
            code=code_of(type(error)).value[0], message=error.message, reason=error.reason, metadata=error.metadata
        ),
    )


def embed_response(vectors: Vectors, backbone: str) -> inference_pb2.EmbedResponse:
    return inference_pb2.EmbedResponse(
        embeddings=[
            inference_pb2.Embedding(
                values=values.tolist(), truncated=tokens.truncated, windows=len(tokens.windows), tokens=tokens.count
            )
            for values, tokens in zip(vectors.values, vectors.tokens, strict=True)
        ],
        backbone=backbone,
        timings=timings(vectors.timings),
    )
