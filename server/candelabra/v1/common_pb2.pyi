from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaskKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_KIND_UNSPECIFIED: _ClassVar[TaskKind]
    SINGLE_LABEL: _ClassVar[TaskKind]
    MULTI_LABEL: _ClassVar[TaskKind]
    REGRESSION: _ClassVar[TaskKind]
    ENTITIES: _ClassVar[TaskKind]
    ANSWER: _ClassVar[TaskKind]

class LongText(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LONG_TEXT_UNSPECIFIED: _ClassVar[LongText]
    TRUNCATE: _ClassVar[LongText]
    WINDOWS: _ClassVar[LongText]
TASK_KIND_UNSPECIFIED: TaskKind
SINGLE_LABEL: TaskKind
MULTI_LABEL: TaskKind
REGRESSION: TaskKind
ENTITIES: TaskKind
ANSWER: TaskKind
LONG_TEXT_UNSPECIFIED: LongText
TRUNCATE: LongText
WINDOWS: LongText

class LabelScore(_message.Message):
    __slots__ = ("label", "probability")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("start", "end", "label")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    label: str
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., label: _Optional[str] = ...) -> None: ...

class Vote(_message.Message):
    __slots__ = ("function", "label")
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    function: str
    label: str
    def __init__(self, function: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ("text", "labels", "text_pair", "question", "target", "spans", "tokens", "tags", "soft_labels", "votes", "id")
    class SoftLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TEXT_PAIR_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    SOFT_LABELS_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    text: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    text_pair: str
    question: str
    target: float
    spans: _containers.RepeatedCompositeFieldContainer[Span]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    soft_labels: _containers.ScalarMap[str, float]
    votes: _containers.RepeatedCompositeFieldContainer[Vote]
    id: str
    def __init__(self, text: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., text_pair: _Optional[str] = ..., question: _Optional[str] = ..., target: _Optional[float] = ..., spans: _Optional[_Iterable[_Union[Span, _Mapping]]] = ..., tokens: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., soft_labels: _Optional[_Mapping[str, float]] = ..., votes: _Optional[_Iterable[_Union[Vote, _Mapping]]] = ..., id: _Optional[str] = ...) -> None: ...

class GateRules(_message.Message):
    __slots__ = ("margin", "recall_level", "max_calibration_error", "coverage")
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    RECALL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    MAX_CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    margin: float
    recall_level: float
    max_calibration_error: float
    coverage: float
    def __init__(self, margin: _Optional[float] = ..., recall_level: _Optional[float] = ..., max_calibration_error: _Optional[float] = ..., coverage: _Optional[float] = ...) -> None: ...

class Examples(_message.Message):
    __slots__ = ("examples",)
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    examples: _containers.RepeatedCompositeFieldContainer[Example]
    def __init__(self, examples: _Optional[_Iterable[_Union[Example, _Mapping]]] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("metric", "value", "low", "high")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    metric: str
    value: float
    low: float
    high: float
    def __init__(self, metric: _Optional[str] = ..., value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class LabelReport(_message.Message):
    __slots__ = ("label", "precision", "recall", "f1", "recall_low", "recall_high", "support")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    F1_FIELD_NUMBER: _ClassVar[int]
    RECALL_LOW_FIELD_NUMBER: _ClassVar[int]
    RECALL_HIGH_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    label: str
    precision: float
    recall: float
    f1: float
    recall_low: float
    recall_high: float
    support: int
    def __init__(self, label: _Optional[str] = ..., precision: _Optional[float] = ..., recall: _Optional[float] = ..., f1: _Optional[float] = ..., recall_low: _Optional[float] = ..., recall_high: _Optional[float] = ..., support: _Optional[int] = ...) -> None: ...

class BaselineReport(_message.Message):
    __slots__ = ("name", "score", "difference")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    score: Score
    difference: Score
    def __init__(self, name: _Optional[str] = ..., score: _Optional[_Union[Score, _Mapping]] = ..., difference: _Optional[_Union[Score, _Mapping]] = ...) -> None: ...

class DataReport(_message.Message):
    __slots__ = ("examples", "duplicates", "truncated", "windowed", "tokens_median", "tokens_p95", "label_counts", "dropped", "problems")
    class LabelCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    WINDOWED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_MEDIAN_FIELD_NUMBER: _ClassVar[int]
    TOKENS_P95_FIELD_NUMBER: _ClassVar[int]
    LABEL_COUNTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    examples: int
    duplicates: int
    truncated: int
    windowed: int
    tokens_median: float
    tokens_p95: float
    label_counts: _containers.ScalarMap[str, int]
    dropped: _containers.ScalarMap[str, int]
    problems: _containers.RepeatedCompositeFieldContainer[DataProblem]
    def __init__(self, examples: _Optional[int] = ..., duplicates: _Optional[int] = ..., truncated: _Optional[int] = ..., windowed: _Optional[int] = ..., tokens_median: _Optional[float] = ..., tokens_p95: _Optional[float] = ..., label_counts: _Optional[_Mapping[str, int]] = ..., dropped: _Optional[_Mapping[str, int]] = ..., problems: _Optional[_Iterable[_Union[DataProblem, _Mapping]]] = ...) -> None: ...

class DataProblem(_message.Message):
    __slots__ = ("reason", "message", "rows")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    rows: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., rows: _Optional[_Iterable[int]] = ...) -> None: ...

class ConfusionMatrix(_message.Message):
    __slots__ = ("labels", "counts")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, labels: _Optional[_Iterable[str]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class GateReport(_message.Message):
    __slots__ = ("accepted", "reason", "checks", "forced")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    reason: str
    checks: _containers.RepeatedCompositeFieldContainer[GateCheck]
    forced: bool
    def __init__(self, accepted: bool = ..., reason: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[GateCheck, _Mapping]]] = ..., forced: bool = ...) -> None: ...

class GateCheck(_message.Message):
    __slots__ = ("name", "passed", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    passed: bool
    detail: str
    def __init__(self, name: _Optional[str] = ..., passed: bool = ..., detail: _Optional[str] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("data", "metric", "scores", "labels", "confusion", "baselines", "gate", "chosen", "seconds", "evaluation", "calibration_error", "scored_rows", "coverage")
    class ChosenEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    DATA_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CONFUSION_FIELD_NUMBER: _ClassVar[int]
    BASELINES_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    SCORED_ROWS_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    data: DataReport
    metric: str
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    labels: _containers.RepeatedCompositeFieldContainer[LabelReport]
    confusion: ConfusionMatrix
    baselines: _containers.RepeatedCompositeFieldContainer[BaselineReport]
    gate: GateReport
    chosen: _containers.ScalarMap[str, str]
    seconds: _containers.ScalarMap[str, float]
    evaluation: str
    calibration_error: float
    scored_rows: int
    coverage: float
    def __init__(self, data: _Optional[_Union[DataReport, _Mapping]] = ..., metric: _Optional[str] = ..., scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., labels: _Optional[_Iterable[_Union[LabelReport, _Mapping]]] = ..., confusion: _Optional[_Union[ConfusionMatrix, _Mapping]] = ..., baselines: _Optional[_Iterable[_Union[BaselineReport, _Mapping]]] = ..., gate: _Optional[_Union[GateReport, _Mapping]] = ..., chosen: _Optional[_Mapping[str, str]] = ..., seconds: _Optional[_Mapping[str, float]] = ..., evaluation: _Optional[str] = ..., calibration_error: _Optional[float] = ..., scored_rows: _Optional[int] = ..., coverage: _Optional[float] = ...) -> None: ...

class Lineage(_message.Message):
    __slots__ = ("dataset", "dataset_rows", "job", "create_time")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    DATASET_ROWS_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    dataset_rows: int
    job: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, dataset: _Optional[str] = ..., dataset_rows: _Optional[int] = ..., job: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
