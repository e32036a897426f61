"""The lane: right scores to right rows, whoever else is there, leaves, fails or is late."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

from candelabra.engine.encoder import Encoded
from candelabra.engine.feature_cache import FeatureCache, cache_key
from candelabra.engine.lane import Lane
from candelabra.engine.row import Inputs, Row, Scorer, Scores
from candelabra.engine.window import Window
from candelabra.errors import DeadlinePassed, Draining, EngineFailed, HeadUnsound, QueueFull
from candelabra.metrics import Metrics
from candelabra.testing import TinyEncoder
from candelabra.types import Slot

LAST_MEAN = Slot(2, "mean")
FIRST_CLS = Slot(0, "cls")


class Linear:
    """A head of random numbers."""

    layers: tuple[int, ...] = ()

    def __init__(self, seed: int, labels: int, slots: tuple[Slot, ...] = (LAST_MEAN,)) -> None:
        self.slots = slots
        self.weights = np.random.default_rng(seed).standard_normal((len(slots) * 16, labels)).astype(np.float32)

    def scores(self, inputs: Inputs) -> Sequence[Scores]:
        return inputs.features @ self.weights


class Reader(Linear):
    """One that scores tokens: its weights meet the states of two layers."""

    layers = (2, 0)

    def __init__(self) -> None:
        super().__init__(5, 3, (LAST_MEAN, LAST_MEAN))
        self.slots = ()

    def scores(self, inputs: Inputs) -> Sequence[Scores]:
        return [tuple(one.reshape(len(one), -1) @ self.weights for one in states) for states in inputs.states]


def window(*ids: int) -> Window:
    return Window(np.array(ids, np.int32))


def alone(encoder: TinyEncoder, row: Row, scorer: Scorer) -> np.ndarray:
    """What a scorer must say of a row of one window, computed without the lane."""
    features = encoder.encode([row.windows[0]], scorer.slots).pooled
    return np.asarray(scorer.scores(Inputs(features.reshape(1, -1)))[0])


def make_row(
    text: Sequence[int], *scorers: Scorer, tenant: str = "acme", slots: tuple[Slot, ...] = (LAST_MEAN,)
) -> Row:
    windows = (window(1, *text, 2),)
    return Row(windows=windows, scorers=scorers, slots=slots, cache_key=cache_key(tenant, windows))


class Gate(TinyEncoder):
    """An encoder that waits until it is let go, so that a test can fill the queue behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.open = threading.Event()

    def encode(self, *args: Any) -> Encoded:
        self.entered.set()
        assert self.open.wait(10)
        return super().encode(*args)


async def held(lane: Lane, gate: Gate) -> asyncio.Task[object]:
    """A call that keeps the lane busy until the gate opens."""
    task: asyncio.Task[object] = asyncio.ensure_future(lane.submit([make_row([9])], tenant="first"))
    task_row = await asyncio.to_thread(gate.entered.wait, 10)
    assert task_row
    return task


@contextlib.asynccontextmanager
async def running(encoder: TinyEncoder, cache_bytes: int = 0, **options: int) -> AsyncIterator[Lane]:
    metrics = Metrics()
    lane = Lane(encoder, metrics, FeatureCache(cache_bytes, metrics), **options)
    lane.start()
    try:
        yield lane
    finally:
        await lane.stop()


def sample(lane: Lane, name: str, **labels: str) -> float:
    return lane._metrics.registry.get_sample_value(name, labels) or 0.0


async def test_a_storm_of_mixed_heads_gives_everyone_his_own_scores() -> None:
    encoder, judge = TinyEncoder(), TinyEncoder()
    shapes = [(LAST_MEAN,), (FIRST_CLS, LAST_MEAN), (LAST_MEAN, FIRST_CLS, Slot(1, "mean"))]
    heads = [Linear(seed, 1 + seed % 7, shapes[seed % 3]) for seed in range(20)]
    random, reader = np.random.default_rng(0), Reader()

    async def client(number: int) -> None:
        for _ in range(12):
            chosen = [heads[k] for k in random.choice(20, 3, replace=False)]
            texts = [random.integers(4, 90, random.integers(0, 40)).tolist() for _ in range(3)]
            readers = (reader,) if number % 3 == 0 else ()
            scorers = (*chosen, *readers)
            rows = [make_row(text, *scorers, tenant=f"t{number % 5}", slots=(FIRST_CLS,)) for text in texts]
            await lane.submit(rows, tenant=f"t{number % 5}", background=number % 8 == 0)
            for row in rows:
                for scorer, scores in zip(chosen, row.scores, strict=False):
                    np.testing.assert_allclose(scores, alone(judge, row, scorer), rtol=1e-4, atol=1e-4)
                if readers:
                    states = judge.encode(row.windows, (), reader.layers, (0,)).states
                    [wanted] = reader.scores(Inputs(np.zeros((1, 0)), [[states[0]]]))
                    np.testing.assert_allclose(row.scores[-1][0], wanted[0], rtol=1e-4, atol=1e-4)
                assert row.features is not None
                np.testing.assert_allclose(
                    row.features, judge.encode(row.windows, row.slots).pooled[0], rtol=1e-5, atol=1e-6
                )

    async with running(encoder, cache_bytes=20_000) as lane:
        await asyncio.gather(*(client(number) for number in range(32)))
        assert sample(lane, "candelabra_queue_tokens", work="predict") == 0
        assert sample(lane, "candelabra_queue_tokens", work="adapt") == 0
    assert max(len(lengths) for lengths in encoder.calls) > 1, "nothing was ever batched"


async def test_equal_texts_of_a_batch_are_encoded_once() -> None:
    gate = Gate()
    async with running(gate) as lane:
        first = await held(lane, gate)
        rows = [make_row([5, 6, 7], Linear(seed, 3)) for seed in range(10)]
        calls = [asyncio.ensure_future(lane.submit([row], tenant="acme")) for row in rows]
        await asyncio.sleep(0.05)
        gate.open.set()
        await asyncio.gather(first, *calls)
    assert gate.calls == [[3], [5]]
    assert len({row.scores[0].tobytes() for row in rows}) == 10


async def test_a_known_text_skips_the_encoder_until_another_slot_is_asked() -> None:
    encoder = TinyEncoder()
    async with running(encoder, cache_bytes=10**6) as lane:
        rows = [make_row([5, 6], Linear(1, 2)) for _ in range(3)]
        for row in rows:
            await lane.submit([row], tenant="acme")
        assert len(encoder.calls) == 1
        np.testing.assert_array_equal(rows[0].scores[0], rows[2].scores[0])
        await lane.submit([make_row([5, 6], Linear(1, 2, (FIRST_CLS,)))], tenant="acme")
        assert len(encoder.calls) == 2
        assert sample(lane, "candelabra_feature_cache_hits_total") == 2


async def test_a_text_in_windows_is_the_mean_of_them() -> None:
    encoder = TinyEncoder()
    windows = (window(1, 5, 6, 7, 2), window(1, 8, 2))
    row = Row(windows=windows, slots=(LAST_MEAN, FIRST_CLS))
    async with running(encoder) as lane:
        await lane.submit([row], tenant="acme")
    each = TinyEncoder().encode(windows, row.slots).pooled
    assert row.features is not None
    np.testing.assert_allclose(row.features[0], (5 * each[0, 0] + 3 * each[1, 0]) / 8, rtol=1e-5)
    np.testing.assert_allclose(row.features[1], each[:, 1].mean(axis=0), rtol=1e-5)


async def test_a_caller_who_leaves_is_not_computed_for() -> None:
    gate = Gate()
    async with running(gate) as lane:
        first = await held(lane, gate)
        leaver = asyncio.ensure_future(lane.submit([make_row([5] * 20)], tenant="acme"))
        stayer = asyncio.ensure_future(lane.submit([make_row([6, 6], slots=(LAST_MEAN,))], tenant="acme"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        assert sample(lane, "candelabra_queue_rows", work="predict") == 1
        gate.open.set()
        await asyncio.gather(first, stayer)
        assert sample(lane, "candelabra_dropped_rows_total", reason="cancelled") == 1
    assert [22] not in gate.calls


async def test_a_deadline_that_passes_in_the_queue_is_told_at_once() -> None:
    gate = Gate()
    async with running(gate) as lane:
        first = await held(lane, gate)
        began = time.monotonic()
        with pytest.raises(DeadlinePassed):
            await lane.submit([make_row([5] * 20)], tenant="acme", deadline=began + 0.05)
        assert time.monotonic() - began < 5
        with pytest.raises(DeadlinePassed):
            await lane.submit([make_row([5])], tenant="acme", deadline=began)
        gate.open.set()
        await first
        assert sample(lane, "candelabra_dropped_rows_total", reason="deadline") == 1
        assert sample(lane, "candelabra_queue_tokens", work="predict") == 0
    assert gate.calls == [[3]]


async def test_a_full_queue_refuses_at_once_and_one_tenant_cannot_fill_it() -> None:
    gate = Gate()
    async with running(gate, queue_tokens=100) as lane:
        calls = [await held(lane, gate)]
        for _ in range(2):
            calls.append(asyncio.ensure_future(lane.submit([make_row([5] * 23)], tenant="greedy")))
            await asyncio.sleep(0)
        with pytest.raises(QueueFull) as refused:
            await lane.submit([make_row([5] * 23)], tenant="greedy")
        assert float(refused.value.metadata["retry_after"]) > 0
        calls.append(asyncio.ensure_future(lane.submit([make_row([6] * 23)], tenant="modest")))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await lane.submit([make_row([6] * 40)], tenant="third")
        gate.open.set()
        await asyncio.gather(*calls)


class Poison(Linear):
    def scores(self, inputs: Inputs) -> Sequence[Scores]:
        raise ZeroDivisionError("a bad head")


class NotFinite(Linear):
    def scores(self, inputs: Inputs) -> Sequence[Scores]:
        return np.full((inputs.rows, 2), np.nan)


class WrongShape(Linear):
    def scores(self, inputs: Inputs) -> Sequence[Scores]:
        return np.zeros(3)


@pytest.mark.parametrize("bad", [Poison, NotFinite, WrongShape])
async def test_a_bad_head_spoils_only_its_own_request(bad: type[Linear]) -> None:
    gate = Gate()
    async with running(gate) as lane:
        first = await held(lane, gate)
        good, poison = Linear(1, 4), bad(2, 2)
        rows = [make_row([5 + k], poison if k == 3 else good) for k in range(6)]
        calls = [asyncio.ensure_future(lane.submit([row], tenant="acme")) for row in rows]
        await asyncio.sleep(0.05)
        gate.open.set()
        await first
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, HeadUnsound) for answer in answers] == [False, False, False, True, False, False]
    np.testing.assert_allclose(rows[4].scores[0], alone(TinyEncoder(), rows[4], good), rtol=1e-4)


async def test_an_encoder_that_fails_fails_its_batch_and_the_lane_lives_on() -> None:
    class Moody(TinyEncoder):
        def encode(self, windows: Sequence[Window], *args: Any) -> Encoded:
            if any(13 in one.ids for one in windows):
                raise RuntimeError("the device is gone")
            return super().encode(windows, *args)

    async with running(Moody()) as lane:
        with pytest.raises(EngineFailed):
            await lane.submit([make_row([13], slots=(LAST_MEAN,))], tenant="acme")
        row = make_row([14], slots=(LAST_MEAN,))
        await lane.submit([row], tenant="acme")
        assert row.features is not None


async def test_features_that_are_not_finite_are_refused_and_not_kept() -> None:
    class Broken(TinyEncoder):
        def encode(self, *args: Any) -> Encoded:
            made = super().encode(*args)
            return Encoded(np.full_like(made.pooled, np.inf), made.states)

    async with running(Broken(), cache_bytes=10**6) as lane:
        with pytest.raises(EngineFailed):
            await lane.submit([make_row([13], slots=(LAST_MEAN,))], tenant="acme")
        assert len(lane.cache) == 0


async def test_background_work_goes_after_predict_and_steps_aside_within_a_pass() -> None:
    gate = Gate()
    gate.pass_tokens = 10
    async with running(gate, background_tokens=40) as lane:
        slots = (LAST_MEAN,)
        rows = [make_row([5 + k] * 8, slots=slots) for k in range(4)]
        background = asyncio.ensure_future(lane.submit(rows, tenant="acme", background=True))
        assert await asyncio.to_thread(gate.entered.wait, 10)
        serving = asyncio.ensure_future(lane.submit([make_row([7], slots=slots)], tenant="other"))
        await asyncio.sleep(0.05)
        gate.open.set()
        await asyncio.gather(background, serving)
    order = [lengths for lengths in gate.calls if lengths]
    assert order == [[10], [3], [10], [10], [10]]


async def test_draining_answers_what_waits_and_refuses_the_rest() -> None:
    gate = Gate()
    async with running(gate) as lane:
        first = await held(lane, gate)
        waiting = asyncio.ensure_future(lane.submit([make_row([5])], tenant="acme"))
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(lane.stop(drain=True))
        await asyncio.sleep(0.02)
        with pytest.raises(Draining):
            await lane.submit([make_row([6])], tenant="acme")
        gate.open.set()
        await asyncio.gather(first, waiting, stopping)


async def test_stopping_without_draining_refuses_what_waits() -> None:
    gate = Gate()
    async with running(gate) as lane:
        first = await held(lane, gate)
        waiting = asyncio.ensure_future(lane.submit([make_row([5])], tenant="acme"))
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(lane.stop(drain=False))
        with pytest.raises(Draining):
            await waiting
        gate.open.set()
        await asyncio.gather(first, stopping)


async def test_nothing_to_do_costs_nothing() -> None:
    async with running(TinyEncoder()) as lane:
        spent = await lane.submit([], tenant="acme")
        assert (spent.queue, spent.encode, spent.head) == (0, 0, 0)
        spent = await lane.submit([make_row([5], Linear(1, 2))], tenant="acme")
        assert spent.encode > 0
        assert spent.head > 0
