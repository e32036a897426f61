"""The table of RPCs: path, messages, default deadline, and whether a call can be repeated without harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory, wrappers_pb2
from google.protobuf.descriptor import ServiceDescriptor

from candelabra_client.v1 import adaptation_pb2, datasets_pb2, domains_pb2, heads_pb2, inference_pb2


@dataclass(frozen=True, slots=True)
class Rpc:
    """`seconds` is the deadline where the caller sets none; None: no deadline."""

    path: str
    request: Any
    response: Any
    streams_in: bool
    streams_out: bool
    seconds: float | None
    repeatable: bool

    @property
    def kind(self) -> str:
        """As grpc names it: "unary_unary", "stream_unary" …"""
        return f"{'stream' if self.streams_in else 'unary'}_{'stream' if self.streams_out else 'unary'}"


def _rpc(service: ServiceDescriptor, name: str, seconds: float | None, *, repeatable: bool) -> Rpc:
    method = service.methods_by_name[name]
    return Rpc(
        path=f"/{service.full_name}/{name}",
        request=message_factory.GetMessageClass(method.input_type),
        response=message_factory.GetMessageClass(method.output_type),
        streams_in=method.client_streaming,
        streams_out=method.server_streaming,
        seconds=seconds,
        repeatable=repeatable,
    )


_inference = inference_pb2.DESCRIPTOR.services_by_name["Inference"]
PREDICT = _rpc(_inference, "Predict", 30, repeatable=True)
PREDICT_STREAM = _rpc(_inference, "PredictStream", None, repeatable=False)
EMBED = _rpc(_inference, "Embed", 60, repeatable=True)
GET_BACKBONE = _rpc(_inference, "GetBackbone", 10, repeatable=True)

_adaptation = adaptation_pb2.DESCRIPTOR.services_by_name["Adaptation"]
ADAPT = _rpc(_adaptation, "Adapt", 60, repeatable=True)  # every Adapt of this client carries a request_id
GET_JOB = _rpc(_adaptation, "GetJob", 10, repeatable=True)
LIST_JOBS = _rpc(_adaptation, "ListJobs", 20, repeatable=True)
WATCH_JOB = _rpc(_adaptation, "WatchJob", None, repeatable=True)
ADVISE = _rpc(_adaptation, "Advise", None, repeatable=True)
CANCEL_JOB = _rpc(_adaptation, "CancelJob", 20, repeatable=True)  # to ask twice is to ask once

_heads = heads_pb2.DESCRIPTOR.services_by_name["Heads"]
LIST_HEADS = _rpc(_heads, "ListHeads", 20, repeatable=True)
GET_HEAD = _rpc(_heads, "GetHead", 10, repeatable=True)
LIST_VERSIONS = _rpc(_heads, "ListVersions", 20, repeatable=True)
GET_VERSION = _rpc(_heads, "GetVersion", 10, repeatable=True)
# Moved twice, an alias would roll back to where it already is.
SET_ALIAS = _rpc(_heads, "SetAlias", 20, repeatable=False)
ROLL_BACK = _rpc(_heads, "RollBack", 20, repeatable=False)
DELETE_ALIAS = _rpc(_heads, "DeleteAlias", 20, repeatable=False)
DELETE_HEAD = _rpc(_heads, "DeleteHead", 60, repeatable=False)
GET_DRIFT = _rpc(_heads, "GetDrift", 10, repeatable=True)
EXPORT_HEAD = _rpc(_heads, "ExportHead", 300, repeatable=True)
IMPORT_HEAD = _rpc(_heads, "ImportHead", 300, repeatable=False)

_datasets = datasets_pb2.DESCRIPTOR.services_by_name["Datasets"]
APPEND_EXAMPLES = _rpc(_datasets, "AppendExamples", 300, repeatable=True)  # always with a request_id, too
LIST_DATASETS = _rpc(_datasets, "ListDatasets", 20, repeatable=True)
GET_DATASET = _rpc(_datasets, "GetDataset", 20, repeatable=True)
DELETE_DATASET = _rpc(_datasets, "DeleteDataset", 60, repeatable=False)
FORGET = _rpc(_datasets, "Forget", 300, repeatable=True)  # with a request_id
AUDIT = _rpc(_datasets, "Audit", 300, repeatable=True)

_domains = domains_pb2.DESCRIPTOR.services_by_name["Domains"]
LIST_DOMAINS = _rpc(_domains, "ListDomains", 10, repeatable=True)
GET_DOMAIN = _rpc(_domains, "GetDomain", 10, repeatable=True)

HEALTH = Rpc(
    path="/grpc.health.v1.Health/Check",
    # On the wire HealthCheckRequest is one string and HealthCheckResponse one number, both in field 1, as in these
    # two: that spares every user the distribution grpcio-health-checking.
    request=wrappers_pb2.StringValue,
    response=wrappers_pb2.Int32Value,
    streams_in=False,
    streams_out=False,
    seconds=5,
    repeatable=True,
)
HEALTH_WORDS = ("unknown", "serving", "not_serving", "service_unknown")
