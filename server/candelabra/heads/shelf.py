"""The shelf: which head version a name means now, and that head in memory, loaded when it is first needed."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from candelabra.errors import CorruptHead, Error, WrongBackbone
from candelabra.heads.head import Head
from candelabra.heads.resident import Resident
from candelabra.heads.store import HeadStore
from candelabra.heads.table import Table
from candelabra.metrics import Metrics
from candelabra.registry.registry import Registry
from candelabra.types import LIVE, HeadInfo, HeadRef, VersionInfo

LOADERS = 4

logger = logging.getLogger(__name__)


class Shelf:
    """The registry is the truth and this is a cache of it.

    `resolve`, `get` and `get_nowait` are for the event loop; `refresh` does SQL and is for a thread; the rest is quick
    anywhere.
    """

    def __init__(
        self,
        registry: Registry,
        store: HeadStore,
        load: Callable[[bytes], Head],
        backbone: str,
        max_bytes: int,
        metrics: Metrics,
    ) -> None:
        self.backbone = backbone
        self._registry = registry
        self._store = store
        self._load = load
        self._metrics = metrics
        self._table = Table()
        self._resident = Resident(max_bytes, metrics)
        self._loading: dict[str, asyncio.Task[Head]] = {}
        self._refreshing = threading.Lock()
        # Threads of its own: loading must not wait behind slow SQL, nor SQL behind loading.
        self._threads = ThreadPoolExecutor(LOADERS, thread_name_prefix="head-loader")

    # Names

    def refresh(self) -> bool:
        """Takes in what other servers (and this one) have committed; True if there was anything."""
        with self._refreshing:
            found = self._registry.revision()
            if found == self._table.revision:
                return False
            # A registry that went backwards was restored from a backup: forget everything and read it anew.
            afresh = found < self._table.revision
            changes = self._registry.heads.changes(-1 if afresh else self._table.revision)
            self._forget(self._table.follow(changes, afresh=afresh))
            return True

    def resolve(self, ref: HeadRef) -> VersionInfo:
        """The version that a reference means at this moment. Memory only."""
        return self._table.resolve(ref)

    def publish(self, version: VersionInfo, alias: str | None = None, head: Head | None = None) -> None:
        """Shows a version that was committed, so that the next request sees it; `head` spares loading it."""
        if head is not None and version.backbone == head.backbone == self.backbone:
            self._resident.put(version.digest, head)
        self._table.publish(version, alias)
        self._metrics.heads_registered.set(self._table.count)

    def apply(self, info: HeadInfo) -> None:
        """Shows aliases that were moved and committed."""
        self._table.apply(info)

    def remove(self, versions: Iterable[VersionInfo]) -> None:
        """Hides versions whose deletion was committed."""
        self._forget(self._table.remove(versions))

    # Heads

    def get_nowait(self, version: VersionInfo) -> Head | None:
        """The head if it is in memory."""
        return self._resident.get(version.digest)

    async def get(self, version: VersionInfo) -> Head:
        """The head, loaded if need be: once, however many ask for it meanwhile."""
        head = self._resident.get(version.digest)
        if head is not None:
            return head
        self._check_backbone(version)
        task = self._loading.get(version.digest)
        if task is None:
            task = asyncio.create_task(self._load_one(version))
            self._loading[version.digest] = task
            task.add_done_callback(lambda done: self._loaded(version.digest, done))
        # A caller that goes away must not take the head from the others.
        return await asyncio.shield(task)

    async def warm(self, limit: int | None = None) -> int:
        """Loads live versions until memory is full, or `limit` of them are there; returns how many it loaded."""
        loaded = 0
        for version in [version for version in self._table.with_alias(LIVE) if version.backbone == self.backbone]:
            if loaded == limit or not self._resident.has_room(version.bytes):
                break
            if self.get_nowait(version) is not None:
                continue
            try:
                await self.get(version)
                loaded += 1
            except Error as error:
                logger.warning("head not loaded", extra={"head": version.name, "reason": error.reason})
        return loaded

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    # Inside

    async def _load_one(self, version: VersionInfo) -> Head:
        started = time.perf_counter()
        try:
            head = await asyncio.get_running_loop().run_in_executor(self._threads, self._read, version)
        except BaseException:
            self._metrics.head_loads.labels("error").inc()
            raise
        self._metrics.head_loads.labels("ok").inc()
        self._metrics.head_load_seconds.observe(time.perf_counter() - started)
        self._resident.put(version.digest, head)
        return head

    def _read(self, version: VersionInfo) -> Head:
        try:
            head = self._load(self._store.get(version.digest))
        except Error as error:
            error.metadata.setdefault("head", version.name)
            raise
        except Exception as error:
            raise CorruptHead(
                f"The file of {version.name} cannot be read as a head: restore it from a backup, or train it again.",
                head=version.name,
            ) from error
        if (head.backbone, head.labels) != (version.backbone, version.labels):
            raise CorruptHead(
                f"The file of {version.name} holds another head than the registry says (backbone or labels differ): "
                "restore the registry and the head store from the same backup.",
                head=version.name,
            )
        return head

    def _check_backbone(self, version: VersionInfo) -> None:
        if version.backbone != self.backbone:
            raise WrongBackbone(
                f"{version.name} was trained on the backbone {version.backbone}, and this server holds "
                f"{self.backbone}: ask a server with that backbone, or adapt the head anew here.",
                head=version.name,
                head_backbone=version.backbone,
                server_backbone=self.backbone,
            )

    def _loaded(self, digest: str, task: asyncio.Task[Head]) -> None:
        del self._loading[digest]
        if not task.cancelled():
            task.exception()  # asked for, so that asyncio does not warn when every caller has left

    def _forget(self, digests: set[str]) -> None:
        self._resident.drop(digests)
        self._metrics.heads_registered.set(self._table.count)
