"""Messages and dataclasses say the same."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import descriptor_pool

from candelabra_client import rpcs
from candelabra_client.read import MADE_FROM, read
from candelabra_client.v1 import adaptation_pb2, datasets_pb2, domains_pb2, heads_pb2, inference_pb2

MODULES = (adaptation_pb2, datasets_pb2, domains_pb2, heads_pb2, inference_pb2)


@pytest.mark.parametrize(("message", "cls"), MADE_FROM.items(), ids=lambda value: getattr(value, "__name__", value))
def test_no_field_is_forgotten(message: str, cls: type[Any]) -> None:
    descriptor = descriptor_pool.Default().FindMessageTypeByName(message)
    assert {spec.name for spec in fields(cls)} == set(descriptor.fields_by_name)


def test_every_rpc_is_in_the_table() -> None:
    known = {value.path for value in vars(rpcs).values() if isinstance(value, rpcs.Rpc)} - {rpcs.HEALTH.path}
    promised = {
        f"/{service.full_name}/{method.name}"
        for module in MODULES
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert known == promised


def test_absent_is_none_and_times_are_aware() -> None:
    job = adaptation_pb2.AdaptJob(name="acme/jobs/1", state=adaptation_pb2.RUNNING)
    job.create_time.FromDatetime(datetime(2026, 3, 1, 12, tzinfo=UTC))
    job.progress.phase = "train"
    found = read(job)
    assert found.create_time == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert found.end_time is None
    assert found.report is None
    assert found.progress.loss is None
    assert found.state == "running"
    assert not found.ended


def test_an_enum_value_of_a_later_version_is_kept() -> None:
    assert read(adaptation_pb2.AdaptJob(state=77)).state == "unknown_77"  # type: ignore[arg-type]


def test_health_reads_the_standard_messages() -> None:
    health_pb2 = pytest.importorskip("grpc_health.v1.health_pb2")
    asked = rpcs.HEALTH.request(value="candelabra.v1.Inference").SerializeToString()
    assert health_pb2.HealthCheckRequest.FromString(asked).service == "candelabra.v1.Inference"
    answer = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)
    assert rpcs.HEALTH_WORDS[rpcs.HEALTH.response.FromString(answer.SerializeToString()).value] == "not_serving"
