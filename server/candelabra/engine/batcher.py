"""Which rows go next, and in which passes: decisions only, no clock, no thread, no tensor.

Between tenants the one that was given least goes next, counted in tokens: however much one asks for, another's
row waits for about one row of each. Within a tenant the earliest deadline goes next. What has no deadline is
treated as due `PATIENCE` after it came, so that nothing waits for ever behind newcomers.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

PATIENCE = 60.0
PASS_COST = 32
"""A pass costs as much as about this many tokens (measured: 8 ms beside 0.25 ms a token): padding of fewer is
cheaper than another pass."""
REMEMBERED_TENANTS = 1024


class Caller(Protocol):
    """Who waits for a row."""

    tenant: str
    deadline: float | None
    left: bool
    """Nobody waits any more: cancelled, failed or stopped."""


C = TypeVar("C", bound=Caller)


@dataclass(slots=True, eq=False)
class Waiting(Generic[C]):
    """One row in the queue, by its size; `index` tells the caller which of its rows it is."""

    caller: C
    index: int
    tokens: int


@dataclass(slots=True)
class Choice(Generic[C]):
    """`chosen` go into the next batch; `expired` and `left` are out of the queue without having been encoded."""

    chosen: list[Waiting[C]] = field(default_factory=list)
    expired: list[Waiting[C]] = field(default_factory=list)
    left: list[Waiting[C]] = field(default_factory=list)


class Queue(Generic[C]):
    """Rows waiting. Adding and choosing cost O(log n) a row."""

    def __init__(self) -> None:
        self._tenants: dict[str, list[tuple[float, int, Waiting[C]]]] = {}
        self._turns: list[tuple[float, float, int, str]] = []  # (given, due, sequence, tenant)
        self._given: dict[str, float] = {}  # of tenants with nothing waiting, ahead of the clock
        self._clock = 0.0
        self._sequence = 0

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, rows: Sequence[Waiting[C]], now: float) -> None:
        for row in rows:
            deadline = row.caller.deadline
            due = now + PATIENCE if deadline is None else deadline
            self._sequence += 1
            tenant = row.caller.tenant
            if (waiting := self._tenants.get(tenant)) is None:
                waiting = self._tenants[tenant] = []
                self._turn(max(self._clock, self._given.pop(tenant, 0.0)), due, tenant)
            heapq.heappush(waiting, (due, self._sequence, row))

    def choose(self, budget: int, now: float) -> Choice[C]:
        """Rows of at most `budget` tokens together; a larger one alone. Order: see the module."""
        choice: Choice[C] = Choice()
        used = 0
        while self._turns:
            given, _, _, tenant = self._turns[0]
            waiting = self._tenants[tenant]
            row = waiting[0][2]
            if gone := row.caller.left or (row.caller.deadline is not None and row.caller.deadline <= now):
                (choice.left if row.caller.left else choice.expired).append(row)
            elif used and used + row.tokens > budget:
                break
            else:
                choice.chosen.append(row)
                used += row.tokens
                self._clock = given
            heapq.heappop(waiting)
            heapq.heappop(self._turns)
            self._again(tenant, given + (0 if gone else row.tokens))
        return choice

    def empty(self) -> list[Waiting[C]]:
        """Takes everything out."""
        rows = [row for waiting in self._tenants.values() for _, _, row in waiting]
        self._tenants.clear()
        self._turns.clear()
        return rows

    def _again(self, tenant: str, given: float) -> None:
        if waiting := self._tenants[tenant]:
            self._turn(given, waiting[0][0], tenant)
            return
        del self._tenants[tenant]
        self._given[tenant] = given
        if len(self._given) > REMEMBERED_TENANTS:  # who was given less than the clock shows starts at the clock anyway
            self._given = {name: much for name, much in self._given.items() if much > self._clock}

    def _turn(self, given: float, due: float, tenant: str) -> None:
        self._sequence += 1
        heapq.heappush(self._turns, (given, due, self._sequence, tenant))


def pack(lengths: Sequence[int], budget: int, padding_percent: int) -> list[list[int]]:
    """Indices in passes of like lengths: short first, each within `budget` padded tokens or a single text.

    The padding of a pass stays within `padding_percent` of its tokens, or within PASS_COST tokens.
    """
    passes: list[list[int]] = []
    current: list[int] = []
    real = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[index]
        padded = (len(current) + 1) * length
        padding = padded - real - length
        if current and (padded > budget or (padding > PASS_COST and padding * 100 > padding_percent * padded)):
            passes.append(current)
            current, real = [], 0
        current.append(index)
        real += length
    return [*passes, current] if current else passes
