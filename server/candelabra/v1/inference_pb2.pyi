from candelabra.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Input(_message.Message):
    __slots__ = ("text", "text_pair", "question")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_PAIR_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    text: str
    text_pair: str
    question: str
    def __init__(self, text: _Optional[str] = ..., text_pair: _Optional[str] = ..., question: _Optional[str] = ...) -> None: ...

class PredictRequest(_message.Message):
    __slots__ = ("inputs", "heads", "id", "top_k", "details")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    heads: _containers.RepeatedScalarFieldContainer[str]
    id: str
    top_k: int
    details: Details
    def __init__(self, inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., heads: _Optional[_Iterable[str]] = ..., id: _Optional[str] = ..., top_k: _Optional[int] = ..., details: _Optional[_Union[Details, _Mapping]] = ...) -> None: ...

class Details(_message.Message):
    __slots__ = ("coverage", "outside")
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    coverage: float
    outside: bool
    def __init__(self, coverage: _Optional[float] = ..., outside: bool = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("id", "heads", "results", "backbone", "timings", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    heads: _containers.RepeatedCompositeFieldContainer[ServedHead]
    results: _containers.RepeatedCompositeFieldContainer[InputResult]
    backbone: str
    timings: Timings
    error: StreamError
    def __init__(self, id: _Optional[str] = ..., heads: _Optional[_Iterable[_Union[ServedHead, _Mapping]]] = ..., results: _Optional[_Iterable[_Union[InputResult, _Mapping]]] = ..., backbone: _Optional[str] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., error: _Optional[_Union[StreamError, _Mapping]] = ...) -> None: ...

class ServedHead(_message.Message):
    __slots__ = ("name", "digest", "domain", "task")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    domain: str
    task: str
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., domain: _Optional[str] = ..., task: _Optional[str] = ...) -> None: ...

class InputResult(_message.Message):
    __slots__ = ("predictions",)
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    predictions: _containers.RepeatedCompositeFieldContainer[Prediction]
    def __init__(self, predictions: _Optional[_Iterable[_Union[Prediction, _Mapping]]] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("head", "labels", "scores", "values", "truncated", "windows", "tokens", "spans", "answers", "no_answer", "value", "interval", "prediction_set", "outside", "abstained")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    HEAD_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    NO_ANSWER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_SET_FIELD_NUMBER: _ClassVar[int]
    OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    head: str
    labels: _containers.RepeatedCompositeFieldContainer[_common_pb2.LabelScore]
    scores: _containers.RepeatedCompositeFieldContainer[_common_pb2.LabelScore]
    values: _containers.ScalarMap[str, float]
    truncated: bool
    windows: int
    tokens: int
    spans: _containers.RepeatedCompositeFieldContainer[ScoredSpan]
    answers: _containers.RepeatedCompositeFieldContainer[ScoredSpan]
    no_answer: float
    value: float
    interval: Interval
    prediction_set: PredictionSet
    outside: Outside
    abstained: str
    def __init__(self, head: _Optional[str] = ..., labels: _Optional[_Iterable[_Union[_common_pb2.LabelScore, _Mapping]]] = ..., scores: _Optional[_Iterable[_Union[_common_pb2.LabelScore, _Mapping]]] = ..., values: _Optional[_Mapping[str, float]] = ..., truncated: bool = ..., windows: _Optional[int] = ..., tokens: _Optional[int] = ..., spans: _Optional[_Iterable[_Union[ScoredSpan, _Mapping]]] = ..., answers: _Optional[_Iterable[_Union[ScoredSpan, _Mapping]]] = ..., no_answer: _Optional[float] = ..., value: _Optional[float] = ..., interval: _Optional[_Union[Interval, _Mapping]] = ..., prediction_set: _Optional[_Union[PredictionSet, _Mapping]] = ..., outside: _Optional[_Union[Outside, _Mapping]] = ..., abstained: _Optional[str] = ...) -> None: ...

class ScoredSpan(_message.Message):
    __slots__ = ("start", "end", "label", "probability", "text")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    label: str
    probability: float
    text: str
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., label: _Optional[str] = ..., probability: _Optional[float] = ..., text: _Optional[str] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("low", "high", "coverage")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    coverage: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ..., coverage: _Optional[float] = ...) -> None: ...

class PredictionSet(_message.Message):
    __slots__ = ("labels", "coverage")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    coverage: float
    def __init__(self, labels: _Optional[_Iterable[str]] = ..., coverage: _Optional[float] = ...) -> None: ...

class Outside(_message.Message):
    __slots__ = ("score", "flag")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    score: float
    flag: bool
    def __init__(self, score: _Optional[float] = ..., flag: bool = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("tokenize", "queue", "encode", "head", "total")
    TOKENIZE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ENCODE_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    tokenize: float
    queue: float
    encode: float
    head: float
    total: float
    def __init__(self, tokenize: _Optional[float] = ..., queue: _Optional[float] = ..., encode: _Optional[float] = ..., head: _Optional[float] = ..., total: _Optional[float] = ...) -> None: ...

class StreamError(_message.Message):
    __slots__ = ("code", "message", "reason", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    reason: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class EmbedRequest(_message.Message):
    __slots__ = ("inputs", "pooling", "layer", "normalize", "long_text", "tenant")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    POOLING_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    LONG_TEXT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    pooling: str
    layer: int
    normalize: bool
    long_text: _common_pb2.LongText
    tenant: str
    def __init__(self, inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., pooling: _Optional[str] = ..., layer: _Optional[int] = ..., normalize: bool = ..., long_text: _Optional[_Union[_common_pb2.LongText, str]] = ..., tenant: _Optional[str] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("embeddings", "backbone", "timings")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[Embedding]
    backbone: str
    timings: Timings
    def __init__(self, embeddings: _Optional[_Iterable[_Union[Embedding, _Mapping]]] = ..., backbone: _Optional[str] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class Embedding(_message.Message):
    __slots__ = ("values", "truncated", "windows", "tokens")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    truncated: bool
    windows: int
    tokens: int
    def __init__(self, values: _Optional[_Iterable[float]] = ..., truncated: bool = ..., windows: _Optional[int] = ..., tokens: _Optional[int] = ...) -> None: ...

class GetBackboneRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Backbone(_message.Message):
    __slots__ = ("name", "fingerprint", "layers", "dimension", "window", "device", "precision", "engine")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    name: str
    fingerprint: str
    layers: int
    dimension: int
    window: int
    device: str
    precision: str
    engine: str
    def __init__(self, name: _Optional[str] = ..., fingerprint: _Optional[str] = ..., layers: _Optional[int] = ..., dimension: _Optional[int] = ..., window: _Optional[int] = ..., device: _Optional[str] = ..., precision: _Optional[str] = ..., engine: _Optional[str] = ...) -> None: ...
