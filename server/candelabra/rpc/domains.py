"""Domains: what is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from candelabra.discovery import Found
from candelabra.errors import DomainNotFound
from candelabra.rpc import convert
from candelabra.v1 import domains_pb2, domains_pb2_grpc


class Domains(domains_pb2_grpc.DomainsServicer):
    def __init__(self, domains: Mapping[str, Found]) -> None:
        self.domains = domains

    async def ListDomains(
        self, request: domains_pb2.ListDomainsRequest, context: Any
    ) -> domains_pb2.ListDomainsResponse:
        return domains_pb2.ListDomainsResponse(
            domains=[convert.domain(self.domains[name]) for name in sorted(self.domains)]
        )

    async def GetDomain(self, request: domains_pb2.GetDomainRequest, context: Any) -> domains_pb2.Domain:
        if request.name not in self.domains:
            raise DomainNotFound(
                f"The domain {request.name!r} is not installed; there are {', '.join(sorted(self.domains))}.",
                domain=request.name,
            )
        return convert.domain(self.domains[request.name])
