"""Health of each service: NOT_SERVING until told, and all of them in a list."""

from __future__ import annotations

from typing import Any, cast

from grpc_health.v1 import health_pb2

from candelabra.rpc.health import NOT_SERVING, SERVING, Health

CONTEXT = cast(Any, None)


async def status(health: Health, service: str) -> int:
    answer = await health.Check(health_pb2.HealthCheckRequest(service=service), CONTEXT)
    return int(answer.status)


async def test_nothing_serves_until_told() -> None:
    health = Health()
    assert await status(health, "") == NOT_SERVING


async def test_each_service_and_the_whole_say_the_same() -> None:
    health = Health()
    for serving, wanted in ((True, SERVING), (False, NOT_SERVING)):
        await health.say(["a.B", "a.C"], serving)
        assert [await status(health, service) for service in ("", "a.B", "a.C")] == [wanted] * 3
        listed = await health.List(health_pb2.HealthListRequest(), CONTEXT)
        assert {name: one.status for name, one in listed.statuses.items()} == dict.fromkeys(("", "a.B", "a.C"), wanted)
