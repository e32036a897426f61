"""Messages to the project's types and back. Pure, and the only place that knows both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from candelabra import types
from candelabra.discovery import Found
from candelabra.errors import InvalidArgument
from candelabra.plugin import Task
from candelabra.v1 import (
    adaptation_pb2,
    common_pb2,
    datasets_pb2,
    domains_pb2,
    heads_pb2,
    inference_pb2,
)

LONG_TEXTS = {types.LongText.TRUNCATE: common_pb2.TRUNCATE, types.LongText.WINDOWS: common_pb2.WINDOWS}
LONG_TEXT_OF: dict[int, types.LongText] = {number: value for value, number in LONG_TEXTS.items()}
METHOD_OF: dict[int, types.Method] = {adaptation_pb2.Method.Value(one.name): one for one in types.Method}
STATE_OF: dict[int, types.JobState] = {adaptation_pb2.JobState.Value(state.name): state for state in types.JobState}


def timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


# What is asked for


def method(number: int) -> types.Method:
    """METHOD_UNSPECIFIED is AUTO."""
    if number == adaptation_pb2.METHOD_UNSPECIFIED:
        return types.Method.AUTO
    if number not in METHOD_OF:
        raise InvalidArgument(f"The method number {number} is unknown to this server.", field="method")
    return METHOD_OF[number]


def options(request: adaptation_pb2.AdaptRequest) -> dict[str, object]:
    """The method's options that were given, by their proto names; whole numbers of `parameters` become int."""
    which = request.WhichOneof("options")
    if which is None:
        return {name: _plain(value) for name, value in MessageToDict(request.parameters).items()}
    if which != method(request.method).value:
        raise InvalidArgument(
            f"The request asks for {method(request.method).name} and has options of {which.upper()}: send one or the "
            "other.",
            field=which,
        )
    message = getattr(request, which)
    return {spec.name: list(value) if spec.is_repeated else value for spec, value in message.ListFields()}


def _plain(value: object) -> object:
    """A Struct knows only doubles, and an epoch count is a whole number."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def gate(rules: common_pb2.GateRules) -> dict[str, float]:
    """The thresholds that the caller overrides, each within its range."""
    found = {spec.name: float(value) for spec, value in rules.ListFields()}
    for name, value in found.items():
        if not 0 <= value <= 1:
            raise InvalidArgument(f"The gate's {name} is {value:g}: use 0 to 1.", field=f"gate.{name}")
    return found


def states(numbers: Iterable[int]) -> list[types.JobState]:
    try:
        return [STATE_OF[number] for number in numbers]
    except KeyError as error:
        raise InvalidArgument(f"The job state number {error} is unknown.", field="states") from None


# The backbone


def backbone(info: types.BackboneInfo) -> inference_pb2.Backbone:
    return inference_pb2.Backbone(
        name=info.name,
        fingerprint=info.fingerprint,
        layers=info.layers,
        dimension=info.dimension,
        window=info.window,
        device=info.device,
        precision=info.precision,
        engine=info.engine,
    )


# Heads


def head(info: types.HeadInfo) -> heads_pb2.Head:
    return heads_pb2.Head(
        name=str(info.head),
        domain=info.domain,
        task=info.task,
        aliases=dict(info.aliases),
        latest_version=info.latest,
        version_count=info.count,
        create_time=timestamp(info.created),
    )


def head_version(info: types.VersionInfo, aliases: Mapping[str, int]) -> heads_pb2.HeadVersion:
    return heads_pb2.HeadVersion(
        name=info.name,
        version=info.version,
        digest=info.digest,
        backbone=info.backbone,
        domain=info.domain,
        task=info.task,
        kind=info.kind.name,
        method=info.method.upper(),
        labels=info.labels,
        bytes=info.bytes,
        aliases=sorted(alias for alias, version in aliases.items() if version == info.version),
        lineage=common_pb2.Lineage(
            dataset=info.dataset,
            dataset_rows=info.dataset_rows,
            job=info.job,
            create_time=timestamp(info.created),
        ),
        report=report(info.report),
        accepted=info.accepted,
        retired=info.retired,
    )


def report(data: Mapping[str, object]) -> common_pb2.Report | None:
    """Reports are kept as the JSON form of the message."""
    return ParseDict(dict(data), common_pb2.Report()) if data else None


# Jobs


def progress(now: types.Progress) -> adaptation_pb2.Progress:
    return adaptation_pb2.Progress(
        phase=now.phase,
        step=now.step,
        total=now.total,
        loss=now.loss,
        metrics=dict(now.metrics),
        seconds_left=now.seconds_left,
    )


def job(info: types.JobInfo) -> adaptation_pb2.AdaptJob:
    message = adaptation_pb2.AdaptJob(
        name=info.name,
        head=str(info.spec.head),
        domain=info.spec.domain,
        task=info.spec.task,
        method=info.spec.method.name,
        dataset=str(info.spec.dataset),
        dataset_rows=info.spec.dataset_rows,
        state=info.state.name,
        progress=progress(info.progress),
        create_time=timestamp(info.created),
        head_digest=info.digest,
        report=report(info.report),
        request_id=info.spec.request_id,
        attempt=info.attempt,
        cancel_requested=info.cancel_requested,
    )
    if info.started:
        message.start_time.CopyFrom(timestamp(info.started))
    if info.ended:
        message.end_time.CopyFrom(timestamp(info.ended))
    if info.version is not None:
        message.head_version = f"{info.spec.head}@{info.version}"
    if info.failure:
        message.error.CopyFrom(
            adaptation_pb2.JobError(
                reason=info.failure.reason, message=info.failure.message, metadata=dict(info.failure.metadata)
            )
        )
    return message


def job_event(event: types.JobEvent, ended: types.JobInfo | None) -> adaptation_pb2.JobEvent:
    return adaptation_pb2.JobEvent(
        sequence=event.sequence,
        time=timestamp(event.time),
        state=event.state.name,
        progress=progress(event.progress),
        message=event.message,
        job=job(ended) if ended else None,
    )


# Datasets and domains


def dataset(info: types.DatasetInfo) -> datasets_pb2.Dataset:
    return datasets_pb2.Dataset(
        name=str(info.name),
        rows=info.rows,
        label_counts=dict(info.label_counts),
        create_time=timestamp(info.created),
        update_time=timestamp(info.updated),
    )


def task(one: Task) -> domains_pb2.DomainTask:
    return domains_pb2.DomainTask(
        name=one.name,
        kind=one.kind.name,
        labels=one.labels,
        metric=one.metric,
        long_text=LONG_TEXTS[one.long_text],
        description=one.description,
        pair=one.pair,
        ordered=one.ordered,
        gate=common_pb2.GateRules(
            margin=one.gate.margin,
            recall_level=one.gate.recall_level,
            max_calibration_error=one.gate.max_calibration_error,
            coverage=one.gate.coverage,
        ),
        abstain_below=one.abstain_below,
        abstain_outside=one.abstain_outside,
    )


def domain(found: Found) -> domains_pb2.Domain:
    return domains_pb2.Domain(
        name=found.domain.name,
        distribution=found.distribution,
        version=found.version,
        description=found.domain.description,
        tasks=[task(one) for one in found.domain.tasks],
    )
