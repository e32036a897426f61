"""Adapt as callers see it: ask for a job, watch it, wait for it, cancel it. The worker does the rest."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from candelabra.adapt import material, options
from candelabra.adapt.checked import Checked
from candelabra.adapt.material import Material
from candelabra.adapt.slots import default_slots
from candelabra.discovery import Found
from candelabra.errors import (
    HeadMismatch,
    HeadNotFound,
    InvalidArgument,
    InvalidName,
    JobNotFound,
    NoExamples,
    UnknownDomain,
    UnknownTask,
)
from candelabra.limits import Limits
from candelabra.plugin import Domain, Task
from candelabra.registry.registry import Registry
from candelabra.types import (
    LIVE,
    BackboneInfo,
    Example,
    JobEvent,
    JobInfo,
    JobSpec,
    JobState,
    Method,
    OwnedName,
    Page,
    check_alias,
    check_name,
)

POLL_SECONDS = 0.5  # how soon a watcher sees what another server did
EVENTS_AT_ONCE = 500
REQUEST_ID_CHARS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a caller of Adapt wants; empty words mean the defaults."""

    head: OwnedName
    domain: str = ""
    task: str = ""
    method: Method = Method.AUTO
    options: Mapping[str, object] = field(default_factory=dict)
    examples: Sequence[Example] | None = None
    dataset: OwnedName | None = None
    validation: Sequence[Example] | None = None
    alias: str = ""
    promote: bool = True
    force: bool = False
    seed: int = 0
    request_id: str = ""
    gate: Mapping[str, float] = field(default_factory=dict)
    strict: bool = False
    label_descriptions: Mapping[str, str] = field(default_factory=dict)
    budget_seconds: float = 0.0
    self_training: int = 0


class Pulse:
    """Wakes everybody who waits for something to have happened."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)


class Jobs:
    """The use case. `asked` beats when a job is queued or cancelled, `happened` when one has news."""

    def __init__(
        self,
        registry: Registry,
        domains: Mapping[str, Found],
        limits: Limits,
        backbone: BackboneInfo,
        draining: asyncio.Event,
    ) -> None:
        self.registry = registry
        self.domains = domains
        self.limits = limits
        self.backbone = backbone
        self.draining = draining
        self.checked = Checked()
        self.asked = Pulse()
        self.happened = Pulse()

    async def start(self, ask: Ask) -> JobInfo:
        """Checks everything that can be checked at once, and queues the job: durable when this returns."""
        domain, task = self.task_of(ask.domain or "general", ask.task or "classification")
        options.check(ask.method, ask.options, default_slots(self.backbone), task.kind)
        check_alias(ask.alias or LIVE)
        if len(ask.request_id) > REQUEST_ID_CHARS:
            raise InvalidName(f"The request_id is longer than {REQUEST_ID_CHARS} characters.", field="request_id")
        await asyncio.to_thread(self._check_head, ask.head, domain, task)
        id_ = uuid.uuid4().hex
        dataset, rows, lost, checked = await self._source(ask, domain, task, id_)
        validation = OwnedName(ask.head.tenant, f"job-{id_}-validation") if ask.validation else None
        spec = JobSpec(
            head=ask.head,
            domain=domain.name,
            task=task.name,
            method=ask.method,
            dataset=dataset,
            dataset_rows=rows,
            options=ask.options,
            validation=validation,
            alias=ask.alias or LIVE,
            promote=ask.promote,
            force=ask.force,
            seed=ask.seed,
            request_id=ask.request_id,
            gate=dict(ask.gate),
            strict=ask.strict,
            label_descriptions=dict(ask.label_descriptions),
            budget_seconds=ask.budget_seconds,
            self_training=ask.self_training,
        )
        self.checked.put(id_, lost, checked)
        job, created = await asyncio.to_thread(
            self.registry.jobs.create,
            id_,
            spec,
            digest(ask),
            ask.examples,
            ask.validation,
            self.limits.settings.max_queued_jobs,
        )
        if created:
            self.asked.beat()
        else:
            self.checked.take(id_, lost)
        return job

    async def get(self, name: str) -> JobInfo:
        return await asyncio.to_thread(self.registry.jobs.get, *parse_job(name))

    async def list(
        self,
        tenant: str | None,
        head: OwnedName | None,
        states: Sequence[JobState],
        page_size: int,
        page_token: str,
    ) -> Page[JobInfo]:
        return await asyncio.to_thread(
            self.registry.jobs.list, tenant, head, states, self.limits.page(page_size), page_token
        )

    async def cancel(self, name: str) -> JobInfo:
        job = await asyncio.to_thread(self.registry.jobs.cancel, *parse_job(name))
        self.asked.beat()
        self.happened.beat()
        return job

    async def wait(self, job: JobInfo, seconds: float | None) -> JobInfo:
        """The job once it has ended; as it stands after `seconds`, or when the server drains."""
        end = None if seconds is None else time.monotonic() + seconds
        while not job.state.ended and not self.draining.is_set():
            left = POLL_SECONDS if end is None else min(POLL_SECONDS, end - time.monotonic())
            if left <= 0:
                break
            await self.happened.wait(left)
            job = await asyncio.to_thread(self.registry.jobs.get, job.spec.head.tenant, job.id)
        return job

    async def watch(self, name: str, after: int = 0) -> AsyncIterator[tuple[JobEvent, JobInfo | None]]:
        """Every event once, in order; the last of an ended job comes with the whole job."""
        tenant, id_ = parse_job(name)
        if after < 0:
            raise InvalidArgument(f"after is {after}: use 0 for all events, or an event's sequence.", field="after")
        while True:
            job = await asyncio.to_thread(self.registry.jobs.get, tenant, id_)
            events = await asyncio.to_thread(self.registry.jobs.events, id_, after, EVENTS_AT_ONCE)
            if not job.state.ended and any(event.state.ended for event in events):  # it ended between the two reads
                job = await asyncio.to_thread(self.registry.jobs.get, tenant, id_)
            for event in events:
                after = event.sequence
                yield event, job if event.state.ended else None
            if len(events) == EVENTS_AT_ONCE:
                continue
            if job.state.ended or self.draining.is_set():
                return
            await self.happened.wait(POLL_SECONDS)

    def task_of(self, domain: str, task: str) -> tuple[Domain, Task]:
        found = self.domains.get(domain)
        if found is None:
            raise UnknownDomain(
                f"The domain {domain[:80]!r} is not installed here; there are {', '.join(sorted(self.domains))}.",
                domain=domain[:80],
            )
        for one in found.domain.tasks:
            if one.name == task:
                return found.domain, one
        known = ", ".join(one.name for one in found.domain.tasks)
        raise UnknownTask(
            f"The domain {domain!r} has no task {task[:80]!r}; it has {known}.", domain=domain, task=task[:80]
        )

    def _check_head(self, name: OwnedName, domain: Domain, task: Task) -> None:
        try:
            head = self.registry.heads.get(name)
        except HeadNotFound:
            return
        if (head.domain, head.task) != (domain.name, task.name):
            raise HeadMismatch(
                f"The head {name} is for {head.domain}/{head.task}, and this Adapt is for {domain.name}/{task.name}: "
                "use another name.",
                head=str(name),
            )

    async def _source(self, ask: Ask, domain: Domain, task: Task, id_: str) -> tuple[OwnedName, int, int, Material]:
        """The dataset that the job will read, how many of its rows, how many of them are lost, and what was checked."""
        if ask.validation:
            self.limits.examples(ask.validation, "validation")
        if ask.examples is not None:
            if ask.examples or not ask.label_descriptions:  # labels' own names are enough to begin with
                self.limits.examples(ask.examples)
            checked = await asyncio.to_thread(self._check_examples, ask, ask.examples, domain, task)
            return OwnedName(ask.head.tenant, f"job-{id_}"), len(ask.examples), 0, checked
        if ask.dataset is None:
            raise NoExamples("Adapt needs examples or a dataset: send one of them.", field="examples")
        if ask.dataset.tenant != ask.head.tenant:
            raise InvalidArgument(
                f"The dataset {ask.dataset} is of another tenant than the head {ask.head}.", field="dataset"
            )
        info = await asyncio.to_thread(self.registry.datasets.get, ask.dataset)
        examples = await asyncio.to_thread(self.registry.datasets.examples, ask.dataset, info.next_position)
        checked = await asyncio.to_thread(self._check_examples, ask, examples, domain, task)
        return ask.dataset, info.next_position, info.lost, checked

    def _check_examples(self, ask: Ask, examples: Sequence[Example], domain: Domain, task: Task) -> Material:
        """What the job would refuse is refused at once."""
        descriptions = ask.label_descriptions
        return material.prepare(examples, domain, task, self.limits, strict=ask.strict, descriptions=descriptions)


def parse_job(name: str) -> tuple[str, str]:
    """`tenant/jobs/<id>`."""
    tenant, _, rest = name.partition("/")
    collection, _, id_ = rest.partition("/")
    if collection != "jobs" or not id_:
        raise InvalidName(f"{name[:120]!r} names no job: write it as tenant/jobs/id.", field="name")
    if not id_.isalnum():
        raise JobNotFound(f"There is no job {name[:120]!r}.", job=name[:120])
    return check_name("tenant", tenant), id_


def digest(ask: Ask) -> str:
    """What tells one request from another under the same request_id."""
    return hashlib.sha256(json.dumps(asdict(ask), sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()
