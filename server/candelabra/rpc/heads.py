"""Heads: list, show, promote, roll back, delete, export, import, drift."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from candelabra.drift import DriftWatch, decided_counts
from candelabra.errors import InvalidArgument
from candelabra.heads.library import Library
from candelabra.rpc import care, convert
from candelabra.types import LIVE, HeadRef, OwnedName, check_alias, check_name
from candelabra.v1 import heads_pb2, heads_pb2_grpc

CHUNK = 256 * 1024


class Heads(heads_pb2_grpc.HeadsServicer):
    def __init__(self, library: Library, traffic: DriftWatch) -> None:
        self.library = library
        self.traffic = traffic

    async def ListHeads(self, request: heads_pb2.ListHeadsRequest, context: Any) -> heads_pb2.ListHeadsResponse:
        tenant = check_name("tenant", request.tenant) if request.tenant else None
        page = await self.library.list(tenant, request.page_size, request.page_token)
        return heads_pb2.ListHeadsResponse(
            heads=[convert.head(info) for info in page.items], next_page_token=page.next_token
        )

    async def GetHead(self, request: heads_pb2.GetHeadRequest, context: Any) -> heads_pb2.Head:
        return convert.head(await self.library.get(OwnedName.parse(request.name)))

    async def ListVersions(
        self, request: heads_pb2.ListVersionsRequest, context: Any
    ) -> heads_pb2.ListVersionsResponse:
        name = OwnedName.parse(request.name)
        page = await self.library.versions(name, request.page_size, request.page_token)
        aliases = (await self.library.get(name)).aliases
        return heads_pb2.ListVersionsResponse(
            versions=[convert.head_version(info, aliases) for info in page.items], next_page_token=page.next_token
        )

    async def GetVersion(self, request: heads_pb2.GetVersionRequest, context: Any) -> heads_pb2.HeadVersion:
        version = await self.library.version(HeadRef.parse(request.name))
        return convert.head_version(version, (await self.library.get(version.head)).aliases)

    async def SetAlias(self, request: heads_pb2.SetAliasRequest, context: Any) -> heads_pb2.Head:
        expected = request.expected_version if request.HasField("expected_version") else None
        alias = check_alias(request.alias or LIVE)
        if "@" not in request.name:
            raise InvalidArgument(
                f"{request.name!r} does not say which version: write tenant/name@3 or tenant/name@alias.", field="name"
            )
        return convert.head(await self.library.set_alias(HeadRef.parse(request.name), alias, expected))

    async def RollBack(self, request: heads_pb2.RollBackRequest, context: Any) -> heads_pb2.Head:
        alias = check_alias(request.alias or LIVE)
        return convert.head(await self.library.roll_back(OwnedName.parse(request.name), alias))

    async def DeleteAlias(self, request: heads_pb2.DeleteAliasRequest, context: Any) -> heads_pb2.Head:
        alias = check_alias(request.alias)
        return convert.head(await self.library.delete_alias(OwnedName.parse(request.name), alias))

    async def DeleteHead(self, request: heads_pb2.DeleteHeadRequest, context: Any) -> heads_pb2.DeleteHeadResponse:
        ref = HeadRef.parse(request.name)
        whole = "@" not in request.name
        if not whole and not isinstance(ref.selector, int):
            raise InvalidArgument(
                f"{request.name!r} names an alias: delete a version by its number, or the head by tenant/name.",
                field="name",
            )
        version = None if whole else int(ref.selector)
        deleted = await self.library.delete(ref.head, version)
        return heads_pb2.DeleteHeadResponse(deleted=[info.name for info in deleted])

    async def GetDrift(self, request: heads_pb2.GetDriftRequest, context: Any) -> heads_pb2.Drift:
        version = await self.library.version(HeadRef.parse(request.name))
        scored = decided_counts(version.report, version.labels)
        return care.drift(version.name, await asyncio.to_thread(self.traffic.report, version.name, scored))

    async def ExportHead(
        self, request: heads_pb2.ExportHeadRequest, context: Any
    ) -> AsyncIterator[heads_pb2.ExportHeadResponse]:
        data = await self.library.export(HeadRef.parse(request.name))
        for start in range(0, len(data), CHUNK):
            yield heads_pb2.ExportHeadResponse(chunk=data[start : start + CHUNK])

    async def ImportHead(
        self, requests: AsyncIterator[heads_pb2.ImportHeadRequest], context: Any
    ) -> heads_pb2.HeadVersion:
        name, alias, data = "", "", bytearray()
        async for request in requests:
            name, alias = name or request.name, alias or request.alias
            data += request.chunk
            self.library.limits.within("max_archive_bytes", len(data), "Bytes of the head file")
        head = OwnedName.parse(name)
        version = await self.library.import_(head, check_alias(alias) if alias else None, bytes(data))
        return convert.head_version(version, (await self.library.get(head)).aliases)
