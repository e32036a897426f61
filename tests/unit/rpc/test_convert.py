"""Messages and types say the same: every field, every value of every enum, there and back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message

from candelabra import types
from candelabra.discovery import Found
from candelabra.engine.tokenizer import Tokens
from candelabra.errors import InvalidArgument, QueueFull
from candelabra.plugin import Domain, Task
from candelabra.predict import Answer, Answers, Timings, Vectors
from candelabra.rpc import convert
from candelabra.v1 import adaptation_pb2, common_pb2, inference_pb2

NOW = datetime(2024, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
REPORT = {"seconds": {"train": 0.5}, "evaluation": "leave-one-out"}
JOB = types.JobInfo(
    id="abc",
    spec=types.JobSpec(
        head=types.OwnedName("acme", "tickets"),
        domain="legal",
        task="clauses",
        method=types.Method.DENSE,
        dataset=types.OwnedName("acme", "rows"),
        dataset_rows=7,
        request_id="r1",
    ),
    state=types.JobState.REJECTED,
    progress=types.Progress("train", 3, 9, 0.5, {"accuracy": 0.8}, 1.5),
    created=NOW,
    started=NOW,
    ended=NOW,
    attempt=2,
    cancel_requested=True,
    version=4,
    digest="sha256:" + "a" * 64,
    report=REPORT,
    failure=types.Failure("GATE_REFUSED", "Worse.", {"gate": "net_gain"}),
)
VERSION = types.VersionInfo(
    head=types.OwnedName("acme", "tickets"),
    version=3,
    digest="sha256:" + "b" * 64,
    backbone="tiny:1",
    domain="legal",
    task="clauses",
    kind=types.TaskKind.MULTI_LABEL,
    method="closed_form",
    labels=("a", "b"),
    bytes=99,
    created=NOW,
    accepted=True,
    dataset="acme/rows",
    dataset_rows=7,
    job="acme/jobs/abc",
    report=REPORT,
)


def filled(message: Message, but: Collection[str] = ()) -> None:
    """Every field of the message was set: one that convert forgets would be empty."""
    empty = {spec.name for spec in message.DESCRIPTOR.fields} - {spec.name for spec, _ in message.ListFields()}
    assert empty == set(but)


@pytest.mark.parametrize(
    ("proto", "ours"),
    [
        (adaptation_pb2.JobState, types.JobState),
        (adaptation_pb2.Method, types.Method),
        (common_pb2.TaskKind, types.TaskKind),
        (common_pb2.LongText, types.LongText),
    ],
)
def test_enums_have_the_same_members(proto: Any, ours: Any) -> None:
    assert {name for name, number in proto.items() if number} == {member.name for member in ours}


def test_every_member_is_mapped() -> None:
    assert set(convert.KINDS) == set(types.TaskKind)
    assert set(convert.LONG_TEXTS) == set(types.LongText)
    assert set(convert.METHODS) == set(types.Method)
    assert {state.name for state in convert.STATE_OF.values()} == {state.name for state in types.JobState}
    for member in types.LongText:
        assert common_pb2.LongText.Name(convert.LONG_TEXTS[member]) == member.name
        assert convert.LONG_TEXT_OF[convert.LONG_TEXTS[member]] is member
    for kind in types.TaskKind:
        assert common_pb2.TaskKind.Name(convert.KINDS[kind]) == kind.name
    for method in types.Method:
        assert adaptation_pb2.Method.Name(convert.METHODS[method]) == method.name
        assert convert.method(convert.METHODS[method]) is method
    for number, state in convert.STATE_OF.items():
        assert adaptation_pb2.JobState.Name(number) == state.name


def test_no_method_means_the_quick_one_and_a_made_up_one_is_refused() -> None:
    assert convert.method(0) is types.Method.CLOSED_FORM
    with pytest.raises(InvalidArgument, match="77"):
        convert.method(77)
    with pytest.raises(InvalidArgument, match="77"):
        convert.states([1, 77])
    with pytest.raises(InvalidArgument):
        convert.states([0])


def test_options_are_those_that_were_given() -> None:
    closed, dense = adaptation_pb2.CLOSED_FORM, adaptation_pb2.DENSE
    assert convert.options(adaptation_pb2.AdaptRequest()) == {}
    request = adaptation_pb2.AdaptRequest(method=dense, dense={"hidden": 0, "layers": [1, 2]})
    assert convert.options(request) == {"hidden": 0, "layers": [1, 2]}
    with pytest.raises(InvalidArgument, match="DENSE"):
        convert.options(adaptation_pb2.AdaptRequest(method=closed, dense={"hidden": 3}))


def test_examples_and_texts_come_in_as_they_are() -> None:
    messages = [common_pb2.Example(text="ä b", labels=["x", "y"]), common_pb2.Example(text="c")]
    assert convert.examples(messages) == [types.Example("ä b", ("x", "y")), types.Example("c", ())]
    assert convert.texts([inference_pb2.Input(text="one"), inference_pb2.Input(text="two")]) == ["one", "two"]


@pytest.mark.parametrize("state", list(types.JobState))
def test_a_job_of_every_state_is_told(state: types.JobState) -> None:
    assert convert.states([convert.job(replace(JOB, state=state)).state]) == [state]


def test_a_job_is_told_whole() -> None:
    message = convert.job(JOB)
    filled(message)
    filled(message.error)
    filled(message.progress)
    assert (message.name, message.head_version) == ("acme/jobs/abc", "acme/tickets@4")
    assert message.error.metadata == {"gate": "net_gain"}
    assert message.report.seconds == {"train": 0.5}
    for stamp in (message.create_time, message.start_time, message.end_time):
        assert stamp.ToDatetime(UTC) == NOW
    names = {one.name for one in fields(types.Progress)}
    assert names == {spec.name for spec in message.progress.DESCRIPTOR.fields}


def test_a_job_that_has_just_begun_says_no_more_than_it_knows() -> None:
    young = replace(JOB, started=None, ended=None, version=None, digest="", report={}, failure=None)
    message = convert.job(replace(young, state=types.JobState.QUEUED, progress=types.Progress("queued")))
    for name in ("start_time", "end_time", "report", "error"):
        assert not message.HasField(name), name
    assert message.head_version == ""
    assert not message.progress.HasField("loss")
    assert not message.progress.HasField("seconds_left")


def test_an_event_carries_the_job_once_it_has_ended() -> None:
    event = types.JobEvent(3, NOW, types.JobState.FAILED, types.Progress("done", 1), "It broke.")
    filled(convert.job_event(event, JOB))
    assert not convert.job_event(event, None).HasField("job")


def test_a_version_is_told_whole_with_the_aliases_that_point_at_it() -> None:
    message = convert.head_version(VERSION, {"live": 3, "canary": 3, "old": 1})
    filled(message)
    filled(message.lineage)
    assert list(message.aliases) == ["canary", "live"]
    assert (message.name, message.method, message.kind) == ("acme/tickets@3", "CLOSED_FORM", common_pb2.MULTI_LABEL)


def test_a_head_a_dataset_and_a_domain_are_told_whole() -> None:
    name = types.OwnedName("acme", "x")
    filled(convert.head(types.HeadInfo(name, "legal", "clauses", {"live": 1}, 3, 2, NOW)))
    filled(convert.dataset(types.DatasetInfo(name, 3, {"a": 3}, NOW, NOW)))

    class Rooms(Domain):
        name = "rooms"
        description = "Rooms of a house."
        tasks = (Task("kind", labels=("attic", "cellar"), long_text=types.LongText.WINDOWS, description="Which."),)

    message = convert.domain(Found(Rooms(), "candelabra-rooms", "1.2"))
    filled(message)
    filled(message.tasks[0])


def test_a_report_is_the_json_form_of_its_message() -> None:
    assert convert.report({}) is None
    made = convert.report(REPORT)
    assert made is not None
    assert (dict(made.seconds), made.evaluation) == ({"train": 0.5}, "leave-one-out")
    with pytest.raises(Exception, match="no_such_field"):
        convert.report({"no_such_field": 1})


def test_answers_are_told_whole() -> None:
    tokens = Tokens((np.array([1, 2], np.int32), np.array([3], np.int32)), True, 3)
    score = types.LabelScore("a", 0.75)
    timings = Timings(0.1, 0.2, 0.3, 0.4, 1.1)
    answer = Answer(VERSION, [score], [score], {"total": 2.0}, tokens)
    message = convert.predict_response("id", Answers([VERSION], [[answer]], timings), "tiny:1")
    filled(message, but={"error"})
    filled(message.heads[0])
    filled(message.timings)
    filled(message.results[0].predictions[0])
    assert message.results[0].predictions[0].windows == 2
    vectors = convert.embed_response(Vectors(np.ones((1, 4), np.float32), [tokens], timings), "tiny:1")
    filled(vectors)
    filled(vectors.embeddings[0])


def test_an_error_in_a_stream_says_what_a_status_would() -> None:
    message = convert.stream_error("7", QueueFull("Full.", limit="queue_tokens"))
    filled(message.error)
    assert (message.id, message.error.code, message.error.reason) == ("7", 14, "QUEUE_FULL")
    assert message.error.metadata == {"limit": "queue_tokens"}


def test_a_backbone_is_told_whole() -> None:
    filled(convert.backbone(types.BackboneInfo("tiny", "tiny:1", 2, 16, 64, "cpu", "fp32", "tiny")))
