"""From prediction responses to answers. Apart from read.py because these are many and must be quick."""

from __future__ import annotations

from collections.abc import Sequence

from candelabra_client.errors import BY_NUMBER, CandelabraError, Unknown, of_code
from candelabra_client.read import read
from candelabra_client.results import Answer, Answers, Prediction
from candelabra_client.v1 import inference_pb2


def answers(response: inference_pb2.PredictResponse, asked: Sequence[str]) -> Answers:
    heads = tuple(map(read, response.heads))
    digests = [head.digest for head in heads]
    references = tuple(asked)
    return Answers(
        answers=tuple(
            Answer(tuple(map(_prediction, result.predictions, digests)), references) for result in response.results
        ),
        heads=heads,
        backbone=response.backbone,
        timings=read(response.timings),
        id=response.id,
        error=_error(response.error) if response.HasField("error") else None,
    )


def _prediction(message: inference_pb2.Prediction, digest: str) -> Prediction:
    return Prediction(
        head=message.head,
        digest=digest,
        labels=tuple([score.label for score in message.labels]),
        probabilities=tuple([score.probability for score in message.labels]),
        scores={score.label: score.probability for score in message.scores},
        values=dict(message.values),
        truncated=message.truncated,
        windows=message.windows,
        tokens=message.tokens,
        spans=tuple(map(read, message.spans)),
        answers=tuple(map(read, message.answers)),
        no_answer=message.no_answer if message.HasField("no_answer") else None,
        value=message.value if message.HasField("value") else None,
        interval=read(message.interval) if message.HasField("interval") else None,
        prediction_set=read(message.prediction_set) if message.HasField("prediction_set") else None,
        outside=read(message.outside) if message.HasField("outside") else None,
        abstained=message.abstained,
    )


def _error(message: inference_pb2.StreamError) -> CandelabraError:
    code = BY_NUMBER.get(message.code)
    cls = Unknown if code is None else of_code(code)
    return cls(message.message, reason=message.reason, metadata=dict(message.metadata))
