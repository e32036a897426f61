from candelabra_client.v1 import common_pb2 as _common_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Method(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METHOD_UNSPECIFIED: _ClassVar[Method]
    CLOSED_FORM: _ClassVar[Method]
    DENSE: _ClassVar[Method]
    AUTO: _ClassVar[Method]
    PROTOTYPE: _ClassVar[Method]
    LOGREG: _ClassVar[Method]
    HYBRID: _ClassVar[Method]
    LAYER_MIX: _ClassVar[Method]
    TOP_K: _ClassVar[Method]
    SEQ_CRF: _ClassVar[Method]
    SPAN: _ClassVar[Method]

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    QUEUED: _ClassVar[JobState]
    RUNNING: _ClassVar[JobState]
    SUCCEEDED: _ClassVar[JobState]
    REJECTED: _ClassVar[JobState]
    FAILED: _ClassVar[JobState]
    CANCELLED: _ClassVar[JobState]
METHOD_UNSPECIFIED: Method
CLOSED_FORM: Method
DENSE: Method
AUTO: Method
PROTOTYPE: Method
LOGREG: Method
HYBRID: Method
LAYER_MIX: Method
TOP_K: Method
SEQ_CRF: Method
SPAN: Method
JOB_STATE_UNSPECIFIED: JobState
QUEUED: JobState
RUNNING: JobState
SUCCEEDED: JobState
REJECTED: JobState
FAILED: JobState
CANCELLED: JobState

class AdaptRequest(_message.Message):
    __slots__ = ("head", "domain", "task", "examples", "dataset", "validation", "method", "closed_form", "dense", "request_id", "wait", "alias", "no_promote", "force", "seed", "parameters", "gate", "strict", "label_descriptions", "budget_seconds", "self_training")
    class LabelDescriptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FORM_FIELD_NUMBER: _ClassVar[int]
    DENSE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    NO_PROMOTE_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    LABEL_DESCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SELF_TRAINING_FIELD_NUMBER: _ClassVar[int]
    head: str
    domain: str
    task: str
    examples: _common_pb2.Examples
    dataset: str
    validation: _common_pb2.Examples
    method: Method
    closed_form: ClosedFormOptions
    dense: DenseOptions
    request_id: str
    wait: bool
    alias: str
    no_promote: bool
    force: bool
    seed: int
    parameters: _struct_pb2.Struct
    gate: _common_pb2.GateRules
    strict: bool
    label_descriptions: _containers.ScalarMap[str, str]
    budget_seconds: float
    self_training: int
    def __init__(self, head: _Optional[str] = ..., domain: _Optional[str] = ..., task: _Optional[str] = ..., examples: _Optional[_Union[_common_pb2.Examples, _Mapping]] = ..., dataset: _Optional[str] = ..., validation: _Optional[_Union[_common_pb2.Examples, _Mapping]] = ..., method: _Optional[_Union[Method, str]] = ..., closed_form: _Optional[_Union[ClosedFormOptions, _Mapping]] = ..., dense: _Optional[_Union[DenseOptions, _Mapping]] = ..., request_id: _Optional[str] = ..., wait: bool = ..., alias: _Optional[str] = ..., no_promote: bool = ..., force: bool = ..., seed: _Optional[int] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., gate: _Optional[_Union[_common_pb2.GateRules, _Mapping]] = ..., strict: bool = ..., label_descriptions: _Optional[_Mapping[str, str]] = ..., budget_seconds: _Optional[float] = ..., self_training: _Optional[int] = ...) -> None: ...

class ClosedFormOptions(_message.Message):
    __slots__ = ("solver", "layers", "ridge", "wide")
    SOLVER_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    RIDGE_FIELD_NUMBER: _ClassVar[int]
    WIDE_FIELD_NUMBER: _ClassVar[int]
    solver: str
    layers: _containers.RepeatedScalarFieldContainer[int]
    ridge: float
    wide: bool
    def __init__(self, solver: _Optional[str] = ..., layers: _Optional[_Iterable[int]] = ..., ridge: _Optional[float] = ..., wide: bool = ...) -> None: ...

class DenseOptions(_message.Message):
    __slots__ = ("hidden", "learning_rate", "max_epochs", "patience", "layers")
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    MAX_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    PATIENCE_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    hidden: int
    learning_rate: float
    max_epochs: int
    patience: int
    layers: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, hidden: _Optional[int] = ..., learning_rate: _Optional[float] = ..., max_epochs: _Optional[int] = ..., patience: _Optional[int] = ..., layers: _Optional[_Iterable[int]] = ...) -> None: ...

class AdaptJob(_message.Message):
    __slots__ = ("name", "head", "domain", "task", "method", "dataset", "dataset_rows", "state", "progress", "create_time", "start_time", "end_time", "head_version", "head_digest", "report", "error", "request_id", "attempt", "cancel_requested")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    DATASET_ROWS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    HEAD_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEAD_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    name: str
    head: str
    domain: str
    task: str
    method: Method
    dataset: str
    dataset_rows: int
    state: JobState
    progress: Progress
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    head_version: str
    head_digest: str
    report: _common_pb2.Report
    error: JobError
    request_id: str
    attempt: int
    cancel_requested: bool
    def __init__(self, name: _Optional[str] = ..., head: _Optional[str] = ..., domain: _Optional[str] = ..., task: _Optional[str] = ..., method: _Optional[_Union[Method, str]] = ..., dataset: _Optional[str] = ..., dataset_rows: _Optional[int] = ..., state: _Optional[_Union[JobState, str]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., head_version: _Optional[str] = ..., head_digest: _Optional[str] = ..., report: _Optional[_Union[_common_pb2.Report, _Mapping]] = ..., error: _Optional[_Union[JobError, _Mapping]] = ..., request_id: _Optional[str] = ..., attempt: _Optional[int] = ..., cancel_requested: bool = ...) -> None: ...

class JobError(_message.Message):
    __slots__ = ("reason", "message", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("phase", "step", "total", "loss", "metrics", "seconds_left")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    phase: str
    step: int
    total: int
    loss: float
    metrics: _containers.ScalarMap[str, float]
    seconds_left: float
    def __init__(self, phase: _Optional[str] = ..., step: _Optional[int] = ..., total: _Optional[int] = ..., loss: _Optional[float] = ..., metrics: _Optional[_Mapping[str, float]] = ..., seconds_left: _Optional[float] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("sequence", "time", "state", "progress", "message", "job")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: _timestamp_pb2.Timestamp
    state: JobState
    progress: Progress
    message: str
    job: AdaptJob
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[JobState, str]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., message: _Optional[str] = ..., job: _Optional[_Union[AdaptJob, _Mapping]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("tenant", "head", "states", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    head: str
    states: _containers.RepeatedScalarFieldContainer[JobState]
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., head: _Optional[str] = ..., states: _Optional[_Iterable[_Union[JobState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[AdaptJob]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[AdaptJob, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("name", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    after: int
    def __init__(self, name: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class AdviseRequest(_message.Message):
    __slots__ = ("examples", "dataset", "domain", "task", "backbones", "max_examples")
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    BACKBONES_FIELD_NUMBER: _ClassVar[int]
    MAX_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    examples: _common_pb2.Examples
    dataset: str
    domain: str
    task: str
    backbones: _containers.RepeatedScalarFieldContainer[str]
    max_examples: int
    def __init__(self, examples: _Optional[_Union[_common_pb2.Examples, _Mapping]] = ..., dataset: _Optional[str] = ..., domain: _Optional[str] = ..., task: _Optional[str] = ..., backbones: _Optional[_Iterable[str]] = ..., max_examples: _Optional[int] = ...) -> None: ...

class AdviseResponse(_message.Message):
    __slots__ = ("progress", "advice")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    advice: Advice
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., advice: _Optional[_Union[Advice, _Mapping]] = ...) -> None: ...

class Advice(_message.Message):
    __slots__ = ("backbones", "recommendation")
    BACKBONES_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDATION_FIELD_NUMBER: _ClassVar[int]
    backbones: _containers.RepeatedCompositeFieldContainer[BackboneScore]
    recommendation: str
    def __init__(self, backbones: _Optional[_Iterable[_Union[BackboneScore, _Mapping]]] = ..., recommendation: _Optional[str] = ...) -> None: ...

class BackboneScore(_message.Message):
    __slots__ = ("name", "fingerprint", "score", "log_me", "h_score", "seconds_per_1k", "regret")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    LOG_ME_FIELD_NUMBER: _ClassVar[int]
    H_SCORE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_PER_1K_FIELD_NUMBER: _ClassVar[int]
    REGRET_FIELD_NUMBER: _ClassVar[int]
    name: str
    fingerprint: str
    score: _common_pb2.Score
    log_me: float
    h_score: float
    seconds_per_1k: float
    regret: _common_pb2.Score
    def __init__(self, name: _Optional[str] = ..., fingerprint: _Optional[str] = ..., score: _Optional[_Union[_common_pb2.Score, _Mapping]] = ..., log_me: _Optional[float] = ..., h_score: _Optional[float] = ..., seconds_per_1k: _Optional[float] = ..., regret: _Optional[_Union[_common_pb2.Score, _Mapping]] = ...) -> None: ...
