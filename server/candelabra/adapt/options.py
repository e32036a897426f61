"""The options of a method, checked when a job is asked for: a mistake is told at once, not by a failed job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from candelabra.adapt import closed_form
from candelabra.types import Method, Slot, TaskKind


def check(method: Method, options: Mapping[str, object], slots: Sequence[Slot], kind: TaskKind) -> None:
    """Raises InvalidArgument for an option that the method does not know or cannot use."""
    multi = kind is TaskKind.MULTI_LABEL
    if method is Method.CLOSED_FORM:
        closed_form.Options.parse(options, slots, multi)
        return
    from candelabra.adapt import dense  # torch is slow to import, and the command line needs this module's room

    dense.Options.parse(options, slots)
