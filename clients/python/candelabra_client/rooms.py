"""What hangs off a blocking client: heads, datasets, jobs, domains, and the handle of one adapt."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from candelabra_client.calls import Calls
from candelabra_client.care import Audit, Forgotten
from candelabra_client.requests import Labelled
from candelabra_client.results import Appended, Dataset, Domain, Drift, Head, HeadVersion, Job, JobEvent
from candelabra_client.wire import Wire

OnProgress = Callable[[JobEvent], object]


class Room:
    def __init__(self, wire: Wire, calls: Calls) -> None:
        self._wire = wire
        self._calls = calls


class Heads(Room):
    """Names are "tenant/name"; a version is "tenant/name@3", "tenant/name@alias" or "tenant/name" (live)."""

    def list(self, tenant: str = "", *, limit: int = 0, timeout: float | None = None) -> builtins.list[Head]:
        return self._wire.run(self._calls.heads(tenant, limit, timeout))

    def get(self, name: str, *, timeout: float | None = None) -> Head:
        return self._wire.run(self._calls.head(name, timeout))

    def versions(self, name: str, *, limit: int = 0, timeout: float | None = None) -> builtins.list[HeadVersion]:
        """The newest first, without reports."""
        return self._wire.run(self._calls.versions(name, limit, timeout))

    def version(self, name: str, *, timeout: float | None = None) -> HeadVersion:
        return self._wire.run(self._calls.version(name, timeout))

    def set_alias(
        self, name: str, alias: str = "", *, expected_version: int | None = None, timeout: float | None = None
    ) -> Head:
        """Points an alias (empty: live) at a version; with `expected_version` only if it points there now."""
        return self._wire.run(self._calls.set_alias(name, alias, expected_version, timeout))

    def promote(self, name: str, *, timeout: float | None = None) -> Head:
        """Makes a version the live one."""
        return self.set_alias(name, timeout=timeout)

    def roll_back(self, name: str, alias: str = "", *, timeout: float | None = None) -> Head:
        return self._wire.run(self._calls.roll_back(name, alias, timeout))

    def delete_alias(self, name: str, alias: str, *, timeout: float | None = None) -> Head:
        return self._wire.run(self._calls.delete_alias(name, alias, timeout))

    def delete(self, name: str, *, timeout: float | None = None) -> tuple[str, ...]:
        """Deletes a version, or with "tenant/name" the whole head; gives the versions that are gone."""
        return self._wire.run(self._calls.delete_head(name, timeout))

    def drift(self, name: str, *, timeout: float | None = None) -> Drift:
        """How recent traffic of a version differs from what it was trained on."""
        return self._wire.run(self._calls.drift(name, timeout))

    def export(self, name: str, *, timeout: float | None = None) -> bytes:
        """One version as the content of one file."""
        return self._wire.run(self._calls.export(name, timeout))

    def import_(
        self, name: str, content: bytes | Path, *, alias: str = "", timeout: float | None = None
    ) -> HeadVersion:
        """Makes an exported file the next version of "tenant/name"."""
        content = content if isinstance(content, bytes) else content.read_bytes()
        return self._wire.run(self._calls.import_(name, content, alias, timeout))


class Datasets(Room):
    def append(
        self,
        name: str,
        examples: Iterable[Labelled],
        *,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Appended:
        """Adds all examples or none; the same `request_id` adds them once."""
        return self._wire.run(self._calls.append(name, examples, request_id, timeout))

    def list(self, tenant: str = "", *, limit: int = 0, timeout: float | None = None) -> builtins.list[Dataset]:
        return self._wire.run(self._calls.datasets(tenant, limit, timeout))

    def get(self, name: str, *, timeout: float | None = None) -> Dataset:
        return self._wire.run(self._calls.dataset(name, timeout))

    def delete(self, name: str, *, timeout: float | None = None) -> None:
        return self._wire.run(self._calls.delete_dataset(name, timeout))

    def forget(
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
        return self._wire.run(self._calls.forget(name, ids, texts, everywhere, request_id, timeout))

    def audit(
        self, name: str, *, domain: str = "", task: str = "", limit: int = 0, timeout: float | None = None
    ) -> Audit:
        """The examples that are most likely mislabelled, and near-duplicates."""
        return self._wire.run(self._calls.audit(name, domain, task, limit, timeout))


class Jobs(Room):
    """Names are "tenant/jobs/<id>"."""

    def get(self, name: str, *, timeout: float | None = None) -> Job:
        return self._wire.run(self._calls.job(name, timeout))

    def list(
        self,
        tenant: str = "",
        *,
        head: str = "",
        states: str | Iterable[str] = (),
        limit: int = 0,
        timeout: float | None = None,
    ) -> builtins.list[Job]:
        """The newest first."""
        return self._wire.run(self._calls.jobs(tenant, head, states, limit, timeout))

    def watch(self, name: str, *, after: int = 0, timeout: float | None = None) -> Iterator[JobEvent]:
        """The job's events until it has ended; goes on where it was when the server was restarted."""
        return self._wire.steps(self._calls.watch(name, after, timeout))

    def cancel(self, name: str, *, timeout: float | None = None) -> Job:
        return self._wire.run(self._calls.cancel(name, timeout))

    def handle(self, name: str, *, timeout: float | None = None) -> AdaptHandle:
        """The handle of a job that was started elsewhere."""
        return AdaptHandle(self._wire, self._calls, self.get(name, timeout=timeout))


class Domains(Room):
    def list(self, *, timeout: float | None = None) -> builtins.list[Domain]:
        return self._wire.run(self._calls.domains(timeout))

    def get(self, name: str, *, timeout: float | None = None) -> Domain:
        return self._wire.run(self._calls.domain(name, timeout))


class AdaptHandle(Room):
    """One adapt. `job` is what was last heard of it."""

    def __init__(self, wire: Wire, calls: Calls, job: Job) -> None:
        super().__init__(wire, calls)
        self.job = job
        self._seen = 0

    def watch(self, timeout: float | None = None) -> Iterator[JobEvent]:
        """Events not yet seen through this handle, until the job has ended."""
        for event in self._wire.steps(self._calls.watch(self.job.name, self._seen, timeout)):
            self._seen = max(self._seen, event.sequence)
            if event.job is not None:
                self.job = event.job
            yield event

    def wait(self, timeout: float | None = None, *, on_progress: OnProgress | None = None) -> Job:
        """The job, ended, whichever way: `wait().raise_for_state()` insists on success."""
        if not self.job.ended:
            for event in self.watch(timeout):
                if on_progress is not None:
                    on_progress(event)
        return self.job if self.job.ended else self.refresh()

    def cancel(self, *, timeout: float | None = None) -> Job:
        self.job = self._wire.run(self._calls.cancel(self.job.name, timeout))
        return self.job

    def refresh(self, *, timeout: float | None = None) -> Job:
        self.job = self._wire.run(self._calls.job(self.job.name, timeout))
        return self.job
