from candelabra.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Domain(_message.Message):
    __slots__ = ("name", "distribution", "version", "description", "tasks")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    name: str
    distribution: str
    version: str
    description: str
    tasks: _containers.RepeatedCompositeFieldContainer[DomainTask]
    def __init__(self, name: _Optional[str] = ..., distribution: _Optional[str] = ..., version: _Optional[str] = ..., description: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[DomainTask, _Mapping]]] = ...) -> None: ...

class DomainTask(_message.Message):
    __slots__ = ("name", "kind", "labels", "metric", "long_text", "description", "pair", "ordered", "gate", "abstain_below", "abstain_outside")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    LONG_TEXT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PAIR_FIELD_NUMBER: _ClassVar[int]
    ORDERED_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    ABSTAIN_BELOW_FIELD_NUMBER: _ClassVar[int]
    ABSTAIN_OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: _common_pb2.TaskKind
    labels: _containers.RepeatedScalarFieldContainer[str]
    metric: str
    long_text: _common_pb2.LongText
    description: str
    pair: bool
    ordered: bool
    gate: _common_pb2.GateRules
    abstain_below: float
    abstain_outside: bool
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.TaskKind, str]] = ..., labels: _Optional[_Iterable[str]] = ..., metric: _Optional[str] = ..., long_text: _Optional[_Union[_common_pb2.LongText, str]] = ..., description: _Optional[str] = ..., pair: bool = ..., ordered: bool = ..., gate: _Optional[_Union[_common_pb2.GateRules, _Mapping]] = ..., abstain_below: _Optional[float] = ..., abstain_outside: bool = ...) -> None: ...

class ListDomainsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDomainsResponse(_message.Message):
    __slots__ = ("domains",)
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    domains: _containers.RepeatedCompositeFieldContainer[Domain]
    def __init__(self, domains: _Optional[_Iterable[_Union[Domain, _Mapping]]] = ...) -> None: ...

class GetDomainRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...
