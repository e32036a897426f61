"""Messages and types say the same: every field, every value of every enum, there and back."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC
from typing import Any

import pytest
from messages import NOW, REPORT, VERSION, filled

from candelabra import types
from candelabra.discovery import Found
from candelabra.errors import InvalidArgument
from candelabra.plugin import Domain, GateRules, Task
from candelabra.rpc import convert
from candelabra.v1 import adaptation_pb2, common_pb2

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
    assert set(convert.LONG_TEXTS) == set(types.LongText)
    assert set(convert.METHOD_OF.values()) == set(types.Method)
    assert {state.name for state in convert.STATE_OF.values()} == {state.name for state in types.JobState}
    for member in types.LongText:
        assert common_pb2.LongText.Name(convert.LONG_TEXTS[member]) == member.name
        assert convert.LONG_TEXT_OF[convert.LONG_TEXTS[member]] is member
    for method in types.Method:
        assert convert.method(adaptation_pb2.Method.Value(method.name)) is method
    for number, state in convert.STATE_OF.items():
        assert adaptation_pb2.JobState.Name(number) == state.name


def test_no_method_means_a_race_and_a_made_up_one_is_refused() -> None:
    assert convert.method(0) is types.Method.AUTO
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


def test_parameters_of_other_methods_come_with_whole_numbers() -> None:
    request = adaptation_pb2.AdaptRequest(method=adaptation_pb2.TOP_K)
    request.parameters.update({"k": 2, "learning_rate": 0.5, "layers": [1, 2]})
    assert convert.options(request) == {"k": 2, "learning_rate": 0.5, "layers": [1, 2]}
    assert isinstance(convert.options(request)["k"], int)


def test_the_gates_rules_are_those_that_were_given_and_in_their_range() -> None:
    assert convert.gate(common_pb2.GateRules()) == {}
    assert convert.gate(common_pb2.GateRules(margin=0.0, coverage=0.8)) == {"margin": 0.0, "coverage": 0.8}
    with pytest.raises(InvalidArgument, match="recall_level is 2"):
        convert.gate(common_pb2.GateRules(recall_level=2))


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
    filled(convert.dataset(types.DatasetInfo(name, 3, {"a": 3}, NOW, NOW, 5)))

    class Rooms(Domain):
        name = "rooms"
        description = "Rooms of a house."
        tasks = (
            Task(
                "kind",
                labels=("attic", "cellar"),
                long_text=types.LongText.WINDOWS,
                description="Which.",
                pair=True,
                ordered=True,
                abstain_below=0.5,
                abstain_outside=True,
                gate=GateRules(0.01, 0.02, 0.03, 0.8),
            ),
        )

    message = convert.domain(Found(Rooms(), "candelabra-rooms", "1.2"))
    filled(message)
    filled(message.tasks[0])
    filled(message.tasks[0].gate)


def test_a_report_is_the_json_form_of_its_message() -> None:
    assert convert.report({}) is None
    made = convert.report(REPORT)
    assert made is not None
    assert (dict(made.seconds), made.evaluation) == ({"train": 0.5}, "leave-one-out")
    with pytest.raises(Exception, match="no_such_field"):
        convert.report({"no_such_field": 1})


def test_a_backbone_is_told_whole() -> None:
    filled(convert.backbone(types.BackboneInfo("tiny", "tiny:1", 2, 16, 64, "cpu", "fp32", "tiny")))
