"""Who goes next and in which passes: nobody is lost, starved or crowded out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from candelabra.engine.batcher import PASS_COST, Queue, Waiting, pack


@dataclass(eq=False)
class Someone:
    tenant: str = "acme"
    deadline: float | None = None
    left: bool = False


def row(tokens: int = 10, tenant: str = "acme", deadline: float | None = None) -> Waiting[Someone]:
    return Waiting(Someone(tenant, deadline), 0, tokens)


lengths = st.lists(st.integers(1, 300), max_size=120)


@settings(deadline=None)
@given(lengths, st.integers(1, 2000), st.integers(0, 50))
def test_passes_hold_every_text_once_within_budget_and_padding(sizes: list[int], budget: int, percent: int) -> None:
    passes = pack(sizes, budget, percent)
    assert sorted(index for group in passes for index in group) == list(range(len(sizes)))
    for group in passes:
        longest = max(sizes[index] for index in group)
        padded = longest * len(group)
        padding = padded - sum(sizes[index] for index in group)
        assert padded <= budget or len(group) == 1
        assert padding * 100 <= percent * padded or padding <= PASS_COST


def test_short_and_long_texts_do_not_share_a_pass() -> None:
    assert pack([8, 120, 8, 120, 8, 8], 4096, 10) == [[0, 2, 4, 5], [1, 3]]


def test_ten_thousands_of_rows_are_quick() -> None:
    queue: Queue[Someone] = Queue()
    began = time.perf_counter()
    queue.add([row(1 + k % 50, f"t{k % 300}", 1000.0 + k % 977) for k in range(30_000)], 0.0)
    taken = 0
    while queue:
        taken += len(queue.choose(4096, 0.0).chosen)
    assert taken == 30_000
    assert time.perf_counter() - began < 10


arrivals = st.lists(
    st.tuples(st.integers(1, 200), st.sampled_from("abc"), st.none() | st.floats(1, 100), st.booleans()), max_size=80
)


@settings(deadline=None)
@given(arrivals, st.integers(1, 500), st.floats(0, 110))
def test_every_row_comes_out_exactly_once(
    specs: list[tuple[int, str, float | None, bool]], budget: int, now: float
) -> None:
    queue: Queue[Someone] = Queue()
    rows = [Waiting(Someone(tenant, deadline, left), 0, tokens) for tokens, tenant, deadline, left in specs]
    queue.add(rows, 0.0)
    seen: list[int] = []
    while queue:
        choice = queue.choose(budget, now)
        assert sum(one.tokens for one in choice.chosen) <= budget or len(choice.chosen) == 1
        assert all(one.caller.left for one in choice.left)
        assert all(one.caller.deadline is not None and one.caller.deadline <= now for one in choice.expired)
        assert not any(one.caller.left for one in choice.chosen)
        assert choice.chosen or choice.left or choice.expired, "no progress"
        seen += [id(one) for one in (*choice.chosen, *choice.left, *choice.expired)]
    assert sorted(seen) == sorted(map(id, rows))


@settings(deadline=None)
@given(st.lists(st.none() | st.floats(1, 1000), min_size=1, max_size=60))
def test_within_a_tenant_the_earliest_deadline_goes_first(deadlines: list[float | None]) -> None:
    queue: Queue[Someone] = Queue()
    queue.add([row(10, deadline=deadline) for deadline in deadlines], 0.0)
    out = [one.caller.deadline for _ in deadlines for one in queue.choose(10, 0.0).chosen]
    due = [60.0 if deadline is None else deadline for deadline in out]
    assert due == sorted(due)


@settings(deadline=None)
@given(st.lists(st.integers(1, 100), min_size=5, max_size=60), st.lists(st.integers(1, 100), min_size=5, max_size=60))
def test_two_tenants_with_work_get_equal_shares(first: list[int], second: list[int]) -> None:
    queue: Queue[Someone] = Queue()
    queue.add([row(tokens, "first") for tokens in first], 0.0)
    queue.add([row(tokens, "second") for tokens in second], 0.0)
    given_tokens = {"first": 0, "second": 0}
    left = {"first": len(first), "second": len(second)}
    while min(left.values()):
        for one in queue.choose(1, 0.0).chosen:
            given_tokens[one.caller.tenant] += one.tokens
            left[one.caller.tenant] -= 1
        assert abs(given_tokens["first"] - given_tokens["second"]) <= 100  # the largest row


def test_a_flood_of_one_tenant_does_not_hold_up_another() -> None:
    queue: Queue[Someone] = Queue()
    queue.add([row(50, "flood") for _ in range(1000)], 0.0)
    for _ in range(100):
        queue.choose(500, 0.0)
    queue.add([row(50, "late")], 0.0)
    assert "late" in {one.caller.tenant for one in queue.choose(100, 0.0).chosen}


def test_idling_saves_up_no_claim() -> None:
    queue: Queue[Someone] = Queue()
    queue.add([row(10, "busy") for _ in range(500)], 0.0)
    for _ in range(100):
        queue.choose(10, 0.0)
    queue.add([row(10, "idle") for _ in range(500)], 0.0)
    tenants = [one.caller.tenant for _ in range(40) for one in queue.choose(10, 0.0).chosen]
    assert 18 <= tenants.count("busy") <= 22


def test_a_row_without_deadline_is_not_starved_by_a_stream_of_urgent_ones() -> None:
    queue: Queue[Someone] = Queue()
    patient = row(10)
    queue.add([patient], 0.0)
    for second in range(100):
        queue.add([row(10, deadline=second + 5.0) for _ in range(2)], float(second))
        if patient in queue.choose(10, float(second)).chosen:
            break
    else:
        raise AssertionError("it still waits")


def test_a_row_larger_than_the_budget_goes_alone() -> None:
    queue: Queue[Someone] = Queue()
    queue.add([row(5000), row(10)], 0.0)
    assert [one.tokens for one in queue.choose(100, 0.0).chosen] == [5000]
    assert [one.tokens for one in queue.choose(100, 0.0).chosen] == [10]
