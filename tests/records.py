"""Rows of a registry and threads that begin together, shared by the tests of both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from candelabra.registry import Registry
from candelabra.types import (
    Example,
    JobSpec,
    Method,
    OwnedName,
    Page,
    TaskKind,
    VersionDraft,
)

T = TypeVar("T")

HEAD = OwnedName("acme", "tickets")
ROWS = OwnedName("acme", "rows")
THREADS = 6


def draft(head: OwnedName = HEAD, digest: str = "a", **changes: object) -> VersionDraft:
    made = VersionDraft(
        head=head,
        digest=f"sha256:{digest * 64}",
        backbone="minilm:1",
        domain="general",
        task="classification",
        kind=TaskKind.SINGLE_LABEL,
        method="closed_form",
        labels=("café ☕", "tea"),
        bytes=1234,
        report={"accuracy": 0.5, "quote": "naïve 😀"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def examples(number: int, start: int = 0) -> list[Example]:
    return [
        Example(f"The kettle number {i} whistles.", ("tea" if i % 2 else "coffee",))
        for i in range(start, start + number)
    ]


def spec(tenant: str = "acme", job: str = "1", **changes: object) -> JobSpec:
    made = JobSpec(
        head=OwnedName(tenant, "tickets"),
        domain="general",
        task="classification",
        method=Method.DENSE,
        dataset=OwnedName(tenant, f"job-{job}"),
        dataset_rows=2,
        options={"hidden": 16},
        seed=2**64 - 1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def start(registry: Registry, job: str = "1", tenant: str = "acme", **changes: object) -> str:
    _, new = registry.jobs.create(job, spec(tenant, job, **changes), "digest", examples(2), None, 1000)
    assert new
    return job


def together(work: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """Runs the same work in threads that begin at one moment."""
    gate = threading.Barrier(threads)

    def one(index: int) -> T:
        gate.wait()
        return work(index)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def every_page(read: Callable[[str], Page[T]]) -> list[T]:
    token, found = "", list[T]()
    while True:
        page = read(token)
        found += page.items
        if not (token := page.next_token):
            return found
