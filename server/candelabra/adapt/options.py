"""The options of a method, checked when a job is asked for: a mistake is told at once, not by a failed job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from candelabra.errors import InvalidArgument
from candelabra.types import Method, Slot, TaskKind

Check = Callable[[Mapping[str, object], Sequence[Slot], TaskKind], None]


def check(method: Method, options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for an option that the method does not know or cannot use."""
    if method is Method.AUTO:
        if options:
            raise InvalidArgument("AUTO takes no options: name the method that they are for.", field=min(options))
        return
    # Some bring torch, which is slow to import, and the command line needs this module's room.
    found: Check = import_module(f"candelabra.adapt.methods.{method.value}").check
    found(options, slots, kind)
