"""When to try a call again, and after which pause: pure decisions.

A call that can be repeated without harm is tried again when the server could not be reached or went away. Any
unary call is tried again when the server says that it refused before doing anything.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from candelabra_client.errors import CandelabraError, ResourceExhausted, Unavailable

REFUSED = frozenset({"QUEUE_FULL", "STARTING", "DRAINING"})
"""Reasons with which the server turns a call away untouched."""


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` counts the first one; pauses grow from `first` to `longest` seconds, each with jitter."""

    attempts: int = 5
    first: float = 0.1
    longest: float = 2.0

    def pause(self, attempt: int) -> float:
        """Before the try after `attempt` (counted from 1)."""
        # Jitter spreads the callers that a restart or a full queue has turned away together.
        return min(self.longest, self.first * 2.0 ** min(attempt - 1, 30)) * random.uniform(0.5, 1.0)

    def after(self, error: CandelabraError, attempt: int, repeatable: bool, seconds_left: float) -> float | None:
        """The pause before the next try, or None: give up and raise `error`. At least as long as the server asks."""
        if attempt >= self.attempts or not _worth_it(error, repeatable):
            return None
        asked = error.retry_after or 0.0
        pause = max(asked, self.pause(attempt))
        return pause if asked >= 0 and pause < seconds_left else None


NEVER = Retry(attempts=1)


def _worth_it(error: CandelabraError, repeatable: bool) -> bool:
    if error.reason:
        return isinstance(error, Unavailable | ResourceExhausted) and error.reason in REFUSED
    return isinstance(error, Unavailable) and repeatable
