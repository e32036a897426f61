"""From protobuf messages to the dataclasses of results.py, field by field by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

T = TypeVar("T")

MADE_FROM: dict[str, type[Any]] = {}
"""Full name of a message -> the dataclass that it becomes."""


def made_from(message: type[Message]) -> Callable[[type[T]], type[T]]:
    """Marks the dataclass that a message becomes. Its fields have the names of the message's."""

    def mark(cls: type[T]) -> type[T]:
        MADE_FROM[message.DESCRIPTOR.full_name] = cls
        return cls

    return mark


def read(message: Message) -> Any:
    """The dataclass of a message, with everything inside it.

    Repeated fields become tuples, maps dicts, timestamps aware datetimes, enum values lower-case words; absent
    messages and absent optional numbers become None.
    """
    cls, readers = _plan(message.DESCRIPTOR)
    return cls(**{name: reader(message) for name, reader in readers})


@cache
def _plan(descriptor: Descriptor) -> tuple[type[Any], tuple[tuple[str, Callable[[Message], Any]], ...]]:
    cls = MADE_FROM[descriptor.full_name]
    names = [spec.name for spec in fields(cls) if spec.name in descriptor.fields_by_name]
    return cls, tuple((name, _reader(descriptor.fields_by_name[name])) for name in names)


def _reader(field: FieldDescriptor) -> Callable[[Message], Any]:
    name, kind = field.name, field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return lambda message: dict(getattr(message, name))
    one = _one(field)
    if _repeated(field):
        return lambda message: tuple(map(one, getattr(message, name)))
    if field.has_presence:
        return lambda message: one(getattr(message, name)) if message.HasField(name) else None
    return lambda message: one(getattr(message, name))


def _repeated(field: FieldDescriptor) -> bool:
    # protobuf 5 has only `label`, about which later versions warn.
    known: bool | None = getattr(field, "is_repeated", None)
    old: Any = field
    return bool(old.label == old.LABEL_REPEATED) if known is None else known


def _one(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.enum_type is not None:
        words = {value.number: value.name.lower() for value in field.enum_type.values}
        return lambda number: words.get(number, f"unknown_{number}")
    if field.message_type is None:
        return lambda value: value
    if field.message_type.full_name == "google.protobuf.Timestamp":
        return lambda stamp: datetime.fromtimestamp(stamp.seconds + stamp.nanos / 1e9, UTC)
    return read
