from candelabra_client.v1 import common_pb2 as _common_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Dataset(_message.Message):
    __slots__ = ("name", "rows", "label_counts", "create_time", "update_time")
    class LabelCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LABEL_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    rows: int
    label_counts: _containers.ScalarMap[str, int]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., rows: _Optional[int] = ..., label_counts: _Optional[_Mapping[str, int]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AppendExamplesRequest(_message.Message):
    __slots__ = ("dataset", "request_id", "examples")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    request_id: str
    examples: _containers.RepeatedCompositeFieldContainer[_common_pb2.Example]
    def __init__(self, dataset: _Optional[str] = ..., request_id: _Optional[str] = ..., examples: _Optional[_Iterable[_Union[_common_pb2.Example, _Mapping]]] = ...) -> None: ...

class AppendExamplesResponse(_message.Message):
    __slots__ = ("dataset", "appended")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    APPENDED_FIELD_NUMBER: _ClassVar[int]
    dataset: Dataset
    appended: int
    def __init__(self, dataset: _Optional[_Union[Dataset, _Mapping]] = ..., appended: _Optional[int] = ...) -> None: ...

class ListDatasetsRequest(_message.Message):
    __slots__ = ("tenant", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("datasets", "next_page_token")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[Dataset]
    next_page_token: str
    def __init__(self, datasets: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDatasetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ForgetRequest(_message.Message):
    __slots__ = ("dataset", "ids", "texts", "request_id", "everywhere")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EVERYWHERE_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    texts: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    everywhere: bool
    def __init__(self, dataset: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., texts: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ..., everywhere: bool = ...) -> None: ...

class ForgetResponse(_message.Message):
    __slots__ = ("dataset", "forgotten", "jobs", "certificate")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    dataset: Dataset
    forgotten: int
    jobs: _containers.RepeatedScalarFieldContainer[str]
    certificate: Certificate
    def __init__(self, dataset: _Optional[_Union[Dataset, _Mapping]] = ..., forgotten: _Optional[int] = ..., jobs: _Optional[_Iterable[str]] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("time", "dataset", "rows_before", "rows_after", "digest_before", "digest_after", "residual", "affected_versions", "retrained_versions", "recomputed", "features_dropped")
    TIME_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    ROWS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ROWS_AFTER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_BEFORE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_AFTER_FIELD_NUMBER: _ClassVar[int]
    RESIDUAL_FIELD_NUMBER: _ClassVar[int]
    AFFECTED_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    RETRAINED_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTED_FIELD_NUMBER: _ClassVar[int]
    FEATURES_DROPPED_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    dataset: str
    rows_before: int
    rows_after: int
    digest_before: str
    digest_after: str
    residual: float
    affected_versions: _containers.RepeatedScalarFieldContainer[str]
    retrained_versions: _containers.RepeatedScalarFieldContainer[str]
    recomputed: _containers.RepeatedScalarFieldContainer[str]
    features_dropped: int
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., dataset: _Optional[str] = ..., rows_before: _Optional[int] = ..., rows_after: _Optional[int] = ..., digest_before: _Optional[str] = ..., digest_after: _Optional[str] = ..., residual: _Optional[float] = ..., affected_versions: _Optional[_Iterable[str]] = ..., retrained_versions: _Optional[_Iterable[str]] = ..., recomputed: _Optional[_Iterable[str]] = ..., features_dropped: _Optional[int] = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("dataset", "domain", "task", "limit")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    domain: str
    task: str
    limit: int
    def __init__(self, dataset: _Optional[str] = ..., domain: _Optional[str] = ..., task: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class AuditResponse(_message.Message):
    __slots__ = ("suspects", "duplicates", "noise", "examined")
    SUSPECTS_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    EXAMINED_FIELD_NUMBER: _ClassVar[int]
    suspects: _containers.RepeatedCompositeFieldContainer[Suspect]
    duplicates: _containers.RepeatedCompositeFieldContainer[Duplicate]
    noise: float
    examined: int
    def __init__(self, suspects: _Optional[_Iterable[_Union[Suspect, _Mapping]]] = ..., duplicates: _Optional[_Iterable[_Union[Duplicate, _Mapping]]] = ..., noise: _Optional[float] = ..., examined: _Optional[int] = ...) -> None: ...

class Suspect(_message.Message):
    __slots__ = ("position", "id", "given", "suggested", "score")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    position: int
    id: str
    given: str
    suggested: str
    score: float
    def __init__(self, position: _Optional[int] = ..., id: _Optional[str] = ..., given: _Optional[str] = ..., suggested: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class Duplicate(_message.Message):
    __slots__ = ("position", "id", "of_position", "of_id", "similarity", "conflicting")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    OF_POSITION_FIELD_NUMBER: _ClassVar[int]
    OF_ID_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    CONFLICTING_FIELD_NUMBER: _ClassVar[int]
    position: int
    id: str
    of_position: int
    of_id: str
    similarity: float
    conflicting: bool
    def __init__(self, position: _Optional[int] = ..., id: _Optional[str] = ..., of_position: _Optional[int] = ..., of_id: _Optional[str] = ..., similarity: _Optional[float] = ..., conflicting: bool = ...) -> None: ...

class DeleteDatasetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteDatasetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
