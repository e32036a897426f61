"""Heads as their owners manage them: the registry, the store and the shelf kept in step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from candelabra.errors import CorruptArchive, CorruptHead, InvalidArgument, WrongBackbone
from candelabra.heads.head import Head
from candelabra.heads.shelf import Shelf
from candelabra.heads.store import HeadStore
from candelabra.heads.table import retired
from candelabra.limits import Limits
from candelabra.metrics import Metrics
from candelabra.registry.registry import Registry
from candelabra.types import HeadInfo, HeadRef, OwnedName, Page, VersionDraft, VersionInfo

IMPORTED = "imported"


class Library:
    """Every change is one registry transaction first, and on the shelf right after."""

    def __init__(self, registry: Registry, store: HeadStore, shelf: Shelf, limits: Limits, metrics: Metrics) -> None:
        self.registry = registry
        self.store = store
        self.shelf = shelf
        self.limits = limits
        self.metrics = metrics

    # Reading

    async def list(self, tenant: str | None, page_size: int, page_token: str) -> Page[HeadInfo]:
        return await asyncio.to_thread(self.registry.heads.list, tenant, self.limits.page(page_size), page_token)

    async def get(self, name: OwnedName) -> HeadInfo:
        return await asyncio.to_thread(self.registry.heads.get, name)

    async def versions(self, name: OwnedName, page_size: int, page_token: str) -> Page[VersionInfo]:
        return await asyncio.to_thread(self.registry.heads.versions, name, self.limits.page(page_size), page_token)

    async def version(self, ref: HeadRef) -> VersionInfo:
        return await asyncio.to_thread(self.registry.heads.version, ref)

    async def export(self, ref: HeadRef) -> bytes:
        """The head's file: safetensors, with everything about it as JSON in the header."""
        version = _not_retired(await self.version(ref))
        return await asyncio.to_thread(self.store.get, version.digest)

    # Changing

    async def set_alias(self, ref: HeadRef, alias: str, expected: int | None) -> HeadInfo:
        """Points `alias` at a version that can be served: it is read and checked first."""
        version = _not_retired(await self.version(ref))
        await self.shelf.get(version)
        pinned = HeadRef(ref.head, version.version)
        return self._moved(await asyncio.to_thread(self.registry.heads.set_alias, pinned, alias, expected))

    async def roll_back(self, name: OwnedName, alias: str) -> HeadInfo:
        return self._moved(await asyncio.to_thread(self.registry.heads.roll_back, name, alias))

    async def delete_alias(self, name: OwnedName, alias: str) -> HeadInfo:
        return self._moved(await asyncio.to_thread(self.registry.heads.delete_alias, name, alias))

    async def delete(self, name: OwnedName, version: int | None) -> Sequence[VersionInfo]:
        """Gone for new requests at once; requests under way keep the head that they started with."""
        deleted = await asyncio.to_thread(self.registry.heads.delete, name, version)
        self.shelf.remove(deleted)
        return deleted

    async def import_(self, name: OwnedName, alias: str | None, data: bytes) -> VersionInfo:
        """Adds an exported head as the next version of `name`."""
        if not data:
            raise InvalidArgument("The stream carried no bytes: send an exported head file.", field="chunk")
        try:
            head = await asyncio.to_thread(Head.from_bytes, data)
        except CorruptHead as error:
            raise CorruptArchive(f"This is not a head file that can be imported: {error.message}") from error
        if head.backbone != self.shelf.backbone:
            raise WrongBackbone(
                f"The head was made on the backbone {head.backbone}, and this server holds {self.shelf.backbone}: "
                "import it on a server with that backbone, or adapt it anew.",
                head=head.backbone,
                server=self.shelf.backbone,
            )
        digest = await asyncio.to_thread(self.store.put, data)
        draft = VersionDraft(
            head=name,
            digest=digest,
            backbone=head.backbone,
            domain=head.domain,
            task=head.task,
            kind=head.task_kind,
            method=IMPORTED,
            labels=head.labels,
            bytes=len(data),
        )
        version = await asyncio.to_thread(self.registry.heads.add, draft, alias)
        self.shelf.publish(version, alias, head)
        return version

    def _moved(self, info: HeadInfo) -> HeadInfo:
        self.shelf.apply(info)
        self.metrics.alias_moves.inc()
        return info


def _not_retired(version: VersionInfo) -> VersionInfo:
    if version.retired:
        raise retired(version)
    return version
