"""grpc.health.v1 with List, which the library's asyncio servicer lacks (gRFC A90)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health(aio.HealthServicer):
    """NOT_SERVING until told otherwise; "" is the whole server."""

    def __init__(self) -> None:
        super().__init__()
        self._server_status[""] = NOT_SERVING

    async def say(self, services: Iterable[str], serving: bool) -> None:
        """The same status for the whole server and each of `services`."""
        for service in ("", *services):
            await self.set(service, SERVING if serving else NOT_SERVING)

    async def List(self, request: health_pb2.HealthListRequest, context: Any) -> health_pb2.HealthListResponse:
        statuses = {
            service: health_pb2.HealthCheckResponse(status=status) for service, status in self._server_status.items()
        }
        return health_pb2.HealthListResponse(statuses=statuses)
