"""What `testing.FakeServer` knows: heads, jobs and datasets in a few dictionaries."""

from __future__ import annotations

import hashlib
from typing import Any

import grpc

from candelabra_client.v1 import adaptation_pb2, common_pb2, heads_pb2, inference_pb2

PAGE = 2
"""Small, so that every list of three pages."""


class Refusal(Exception):
    def __init__(self, code: grpc.StatusCode, reason: str, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.metadata = code, reason, message, metadata


class Store:
    """What the server knows. `phases` are the events of every job; after `break_after` of them the stream of
    events breaks off, once."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.versions: dict[str, int] = {}
        self.live: dict[str, int] = {}
        self.before: dict[str, int] = {}
        self.jobs: dict[str, adaptation_pb2.AdaptJob] = {}
        self.requests: dict[str, Any] = {}
        self.datasets: dict[str, list[common_pb2.Example]] = {}
        self.uploads: dict[str, int] = {}
        self.phases: list[str] = ["encode", "train", "gate"]
        self.ends_as = adaptation_pb2.SUCCEEDED
        self.break_after: int | None = None
        self.files: dict[str, bytes] = {}

    def resolve(self, reference: str) -> inference_pb2.ServedHead:
        name, _, selector = reference.partition("@")
        version = int(selector) if selector.isdigit() else self.live.get(name)
        if version is None or not 1 <= version <= self.versions.get(name, 0):
            raise Refusal(
                grpc.StatusCode.NOT_FOUND, "HEAD_NOT_FOUND", f"There is no head {reference!r}.", head=reference
            )
        full = f"{name}@{version}"
        return inference_pb2.ServedHead(name=full, digest=digest(full), domain="general", task="classification")

    def add_version(self, name: str) -> int:
        self.versions[name] = self.versions.get(name, 0) + 1
        return self.versions[name]

    def move(self, name: str, version: int) -> None:
        if name in self.live:
            self.before[name] = self.live[name]
        self.live[name] = version

    def head(self, name: str) -> heads_pb2.Head:
        self.resolve(f"{name}@1")
        aliases = {"live": self.live[name]} if name in self.live else {}
        count = self.versions[name]
        return heads_pb2.Head(
            name=name,
            domain="general",
            task="classification",
            aliases=aliases,
            latest_version=count,
            version_count=count,
        )

    def version(self, reference: str) -> heads_pb2.HeadVersion:
        served = self.resolve(reference)
        return heads_pb2.HeadVersion(
            name=served.name,
            version=int(served.name.rpartition("@")[2]),
            digest=served.digest,
            domain="general",
            task="classification",
            kind=common_pb2.SINGLE_LABEL,
            method="CLOSED_FORM",
            labels=["long", "short"],
            bytes=2048,
            accepted=True,
        )


def digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def page(items: list[Any], request: Any) -> tuple[list[Any], str]:
    start = int(request.page_token or 0)
    size = min(PAGE, request.page_size or PAGE)
    return items[start : start + size], str(start + size) if start + size < len(items) else ""
