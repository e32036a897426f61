"""Features of a training set through the lane: in their places, in the background, and patient."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from candelabra.adapt import encode
from candelabra.adapt.encode import FeatureEncoder
from candelabra.engine.feature_cache import FeatureCache
from candelabra.engine.lane import Lane
from candelabra.engine.row import Row, Spent
from candelabra.errors import EngineFailed, QueueFull
from candelabra.metrics import Metrics
from candelabra.testing import TinyEncoder, tiny_tokenizer
from candelabra.types import LongText, Progress, Slot

SLOTS = (Slot(2, "mean"), Slot(1, "cls"))
# Long and short ones mixed, some twice, one in several windows.
TEXTS = [" ".join(f"word{(i * j) % 37}" for j in range(1 + (i * 7) % 30)) for i in range(150)] + ["a long text " * 60]


class Watched(Lane):
    """A lane that remembers what it was asked, and can be full or broken at first."""

    full = broken = 0

    async def submit(self, rows: Sequence[Row], **options: Any) -> Spent:
        self.asked = [*getattr(self, "asked", []), options]
        if self.full:
            self.full -= 1
            raise QueueFull("Full.")
        if self.broken:
            raise EngineFailed("Broken.")
        return await super().submit(rows, **options)


@pytest.fixture
async def lane() -> AsyncIterator[Watched]:
    metrics = Metrics()
    made = Watched(TinyEncoder(), metrics, FeatureCache(10**6, metrics))
    made.start()
    yield made
    await made.stop()


async def features(lane: Lane, long_text: LongText = LongText.TRUNCATE) -> tuple[np.ndarray, Any, list[Progress]]:
    into = np.full((len(TEXTS), len(SLOTS), 16), np.nan, np.float32)
    said: list[Progress] = []
    with ThreadPoolExecutor(1) as threads:
        encoder = FeatureEncoder(lane, tiny_tokenizer(), threads)
        lengths = await encoder.encode(TEXTS, long_text, SLOTS, "acme", into, said.append)
    return into, lengths, said


async def test_each_text_has_its_features_in_its_place(lane: Watched) -> None:
    into, lengths, _ = await features(lane)
    alone, tokenizer = TinyEncoder(), tiny_tokenizer()
    for index, tokens in enumerate(tokenizer.split(TEXTS, LongText.TRUNCATE)):
        assert np.allclose(into[index], alone.encode(tokens.windows, SLOTS)[0], atol=1e-6), index
        assert lengths.counts[index] == tokens.count
    assert (lengths.truncated, lengths.windowed) == (1, 0)
    assert all(options == {"tenant": "acme", "background": True} for options in lane.asked)


async def test_a_long_text_may_be_read_in_windows(lane: Watched) -> None:
    into, lengths, _ = await features(lane, LongText.WINDOWS)
    assert (lengths.truncated, lengths.windowed) == (0, 1)
    assert np.isfinite(into).all()


async def test_a_full_lane_is_waited_for(lane: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "RETRY_SECONDS", 0.01)
    lane.full = 3
    into, _, _ = await features(lane)
    assert np.isfinite(into).all()
    assert lane.full == 0
    assert len(lane.asked) == 3 + -(-len(TEXTS) // encode.ROWS_AT_ONCE)


async def test_progress_counts_to_the_end_and_says_the_time_left(lane: Watched) -> None:
    _, _, said = await features(lane)
    steps = [one.step for one in said]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1], {one.total for one in said}) == (0, len(TEXTS), {len(TEXTS)})
    assert {one.phase for one in said} == {"encode"}
    assert said[0].seconds_left is None
    assert all(one.seconds_left is not None and one.seconds_left >= 0 for one in said[1:])
    assert said[1].seconds_left != 0
    assert said[-1].seconds_left == 0


async def test_a_failure_and_a_cancel_leave_nothing_running(lane: Watched) -> None:
    lane.broken = 1
    with pytest.raises(EngineFailed):
        await features(lane)
    lane.broken, lane.full = 0, 10**6
    work = asyncio.create_task(features(lane))
    await asyncio.sleep(0.05)
    work.cancel()
    await asyncio.wait([work])
    await asyncio.sleep(0)
    assert work.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}
