"""What hangs off an asyncio client: heads, datasets, jobs, domains, and the handle of one adapt."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from inspect import isawaitable
from pathlib import Path

from candelabra_client.aio_wire import AsyncWire
from candelabra_client.calls import Calls
from candelabra_client.care import Audit, Forgotten
from candelabra_client.requests import Labelled
from candelabra_client.results import Appended, Dataset, Domain, Drift, Head, HeadVersion, Job, JobEvent

OnAsyncProgress = Callable[[JobEvent], object | Awaitable[object]]


class AsyncRoom:
    def __init__(self, wire: AsyncWire, calls: Calls) -> None:
        self._wire = wire
        self._calls = calls


class AsyncHeads(AsyncRoom):
    """Names are "tenant/name"; a version is "tenant/name@3", "tenant/name@alias" or "tenant/name" (live)."""

    async def list(self, tenant: str = "", *, limit: int = 0, timeout: float | None = None) -> builtins.list[Head]:
        return await self._wire.run(self._calls.heads(tenant, limit, timeout))

    async def get(self, name: str, *, timeout: float | None = None) -> Head:
        return await self._wire.run(self._calls.head(name, timeout))

    async def versions(self, name: str, *, limit: int = 0, timeout: float | None = None) -> builtins.list[HeadVersion]:
        """The newest first, without reports."""
        return await self._wire.run(self._calls.versions(name, limit, timeout))

    async def version(self, name: str, *, timeout: float | None = None) -> HeadVersion:
        return await self._wire.run(self._calls.version(name, timeout))

    async def set_alias(
        self, name: str, alias: str = "", *, expected_version: int | None = None, timeout: float | None = None
    ) -> Head:
        """Points an alias (empty: live) at a version; with `expected_version` only if it points there now."""
        return await self._wire.run(self._calls.set_alias(name, alias, expected_version, timeout))

    async def promote(self, name: str, *, timeout: float | None = None) -> Head:
        """Makes a version the live one."""
        return await self.set_alias(name, timeout=timeout)

    async def roll_back(self, name: str, alias: str = "", *, timeout: float | None = None) -> Head:
        return await self._wire.run(self._calls.roll_back(name, alias, timeout))

    async def delete_alias(self, name: str, alias: str, *, timeout: float | None = None) -> Head:
        return await self._wire.run(self._calls.delete_alias(name, alias, timeout))

    async def delete(self, name: str, *, timeout: float | None = None) -> tuple[str, ...]:
        """Deletes a version, or with "tenant/name" the whole head; gives the versions that are gone."""
        return await self._wire.run(self._calls.delete_head(name, timeout))

    async def drift(self, name: str, *, timeout: float | None = None) -> Drift:
        """How recent traffic of a version differs from what it was trained on."""
        return await self._wire.run(self._calls.drift(name, timeout))

    async def export(self, name: str, *, timeout: float | None = None) -> bytes:
        """One version as the content of one file."""
        return await self._wire.run(self._calls.export(name, timeout))

    async def import_(
        self, name: str, content: bytes | Path, *, alias: str = "", timeout: float | None = None
    ) -> HeadVersion:
        """Makes an exported file the next version of "tenant/name"."""
        content = content if isinstance(content, bytes) else await asyncio.to_thread(content.read_bytes)
        return await self._wire.run(self._calls.import_(name, content, alias, timeout))


class AsyncDatasets(AsyncRoom):
    async def append(
        self,
        name: str,
        examples: Iterable[Labelled],
        *,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Appended:
        """Adds all examples or none; the same `request_id` adds them once."""
        return await self._wire.run(self._calls.append(name, examples, request_id, timeout))

    async def list(self, tenant: str = "", *, limit: int = 0, timeout: float | None = None) -> builtins.list[Dataset]:
        return await self._wire.run(self._calls.datasets(tenant, limit, timeout))

    async def get(self, name: str, *, timeout: float | None = None) -> Dataset:
        return await self._wire.run(self._calls.dataset(name, timeout))

    async def delete(self, name: str, *, timeout: float | None = None) -> None:
        return await self._wire.run(self._calls.delete_dataset(name, timeout))

    async def forget(
        self,
        name: str,
        *,
        ids: str | Iterable[str] = (),
        texts: str | Iterable[str] = (),
        everywhere: bool = False,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Forgotten:
        """Removes examples for good; heads that had learned from them are trained again and their versions retired.

        `everywhere`: also from the tenant's other datasets and from examples that came inside `adapt` calls.
        """
        return await self._wire.run(self._calls.forget(name, ids, texts, everywhere, request_id, timeout))

    async def audit(
        self, name: str, *, domain: str = "", task: str = "", limit: int = 0, timeout: float | None = None
    ) -> Audit:
        """The examples that are most likely mislabelled, and near-duplicates."""
        return await self._wire.run(self._calls.audit(name, domain, task, limit, timeout))


class AsyncJobs(AsyncRoom):
    """Names are "tenant/jobs/<id>"."""

    async def get(self, name: str, *, timeout: float | None = None) -> Job:
        return await self._wire.run(self._calls.job(name, timeout))

    async def list(
        self,
        tenant: str = "",
        *,
        head: str = "",
        states: str | Iterable[str] = (),
        limit: int = 0,
        timeout: float | None = None,
    ) -> builtins.list[Job]:
        """The newest first."""
        return await self._wire.run(self._calls.jobs(tenant, head, states, limit, timeout))

    def watch(self, name: str, *, after: int = 0, timeout: float | None = None) -> AsyncIterator[JobEvent]:
        """The job's events until it has ended; goes on where it was when the server was restarted."""
        return self._wire.steps(self._calls.watch(name, after, timeout))

    async def cancel(self, name: str, *, timeout: float | None = None) -> Job:
        return await self._wire.run(self._calls.cancel(name, timeout))

    async def handle(self, name: str, *, timeout: float | None = None) -> AsyncAdaptHandle:
        """The handle of a job that was started elsewhere."""
        return AsyncAdaptHandle(self._wire, self._calls, await self.get(name, timeout=timeout))


class AsyncDomains(AsyncRoom):
    async def list(self, *, timeout: float | None = None) -> builtins.list[Domain]:
        return await self._wire.run(self._calls.domains(timeout))

    async def get(self, name: str, *, timeout: float | None = None) -> Domain:
        return await self._wire.run(self._calls.domain(name, timeout))


class AsyncAdaptHandle(AsyncRoom):
    """One adapt. `job` is what was last heard of it."""

    def __init__(self, wire: AsyncWire, calls: Calls, job: Job) -> None:
        super().__init__(wire, calls)
        self.job = job
        self._seen = 0

    async def watch(self, timeout: float | None = None) -> AsyncIterator[JobEvent]:
        """Events not yet seen through this handle, until the job has ended."""
        async for event in self._wire.steps(self._calls.watch(self.job.name, self._seen, timeout)):
            self._seen = max(self._seen, event.sequence)
            if event.job is not None:
                self.job = event.job
            yield event

    async def wait(self, timeout: float | None = None, *, on_progress: OnAsyncProgress | None = None) -> Job:
        """The job, ended, whichever way: `wait().raise_for_state()` insists on success."""
        if not self.job.ended:
            async for event in self.watch(timeout):
                if on_progress is not None and isawaitable(heard := on_progress(event)):
                    await heard
        return self.job if self.job.ended else await self.refresh()

    async def cancel(self, *, timeout: float | None = None) -> Job:
        self.job = await self._wire.run(self._calls.cancel(self.job.name, timeout))
        return self.job

    async def refresh(self, *, timeout: float | None = None) -> Job:
        self.job = await self._wire.run(self._calls.job(self.job.name, timeout))
        return self.job
