"""What tests of messages share: a version with everything in it, and the check that no field was forgotten."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from google.protobuf.message import Message

from candelabra import types

NOW = datetime(2024, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
REPORT = {"seconds": {"train": 0.5}, "evaluation": "leave-one-out"}
VERSION = types.VersionInfo(
    head=types.OwnedName("acme", "tickets"),
    version=3,
    digest="sha256:" + "b" * 64,
    backbone="tiny:1",
    domain="legal",
    task="clauses",
    kind=types.TaskKind.MULTI_LABEL,
    method="closed_form",
    labels=("a", "b"),
    bytes=99,
    created=NOW,
    accepted=True,
    dataset="acme/rows",
    dataset_rows=7,
    job="acme/jobs/abc",
    report=REPORT,
    retired="Learned from a forgotten example.",
)


def filled(message: Message, but: Collection[str] = ()) -> None:
    """Every field of the message was set: one that convert forgets would be empty."""
    empty = {spec.name for spec in message.DESCRIPTOR.fields} - {spec.name for spec, _ in message.ListFields()}
    assert empty == set(but)
