"""Features of a training set through the lane: in their places, in the background, and patient."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candelabra.adapt import encode
from candelabra.adapt.encode import FeatureEncoder, Lengths, Part, Texts, load_states, open_states
from candelabra.engine.feature_cache import FeatureCache
from candelabra.engine.lane import Lane
from candelabra.engine.row import Row, Spent
from candelabra.errors import EngineFailed, QueueFull
from candelabra.metrics import Metrics
from candelabra.testing import TinyEncoder, tiny_tokenizer
from candelabra.types import LongText, Progress, Reading, Slot

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
        assert np.allclose(into[index], alone.encode(tokens.windows, SLOTS).pooled[0], atol=1e-6), index
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


async def test_texts_seen_before_are_not_asked_of_the_lane(lane: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _, _ = await features(lane)
    calls = len(lane.asked)
    again, _, said = await features(lane)
    assert len(lane.asked) == calls
    np.testing.assert_array_equal(again, first)
    assert said[-1].step == len(TEXTS)
    monkeypatch.setattr(f"{__name__}.TEXTS", [*TEXTS, "a word that is new", "and another"])
    more, _, said = await features(lane)
    assert len(lane.asked) == calls + 1
    np.testing.assert_array_equal(more[:-2], first)
    assert np.isfinite(more).all()
    assert (said[-1].step, said[-1].seconds_left) == (len(TEXTS), 0)


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


async def test_token_states_of_every_window_lie_where_the_table_says(lane: Watched, tmp_path: Path) -> None:
    said: list[Progress] = []
    with ThreadPoolExecutor(1) as threads:
        encoder = FeatureEncoder(lane, tiny_tokenizer(), threads)
        tokens = await encoder.tokenize(Texts(TEXTS, offsets=True))
        states = open_states(tmp_path / "states", tokens, (2, 0), 16)
        into = np.zeros((len(TEXTS), len(SLOTS), 16), np.float32)
        await encoder.run([Part(tokens, SLOTS, into, states)], "acme", said.append)
        plain, _, _ = await features(lane, LongText.WINDOWS)
    assert np.allclose(into, plain, atol=1e-6)  # the same pass gave both
    states.values.flush()  # type: ignore[attr-defined]
    found = load_states(tmp_path / "states")
    assert (found.values.dtype, found.layers) == (np.float16, (2, 0))
    assert len(found.values) == Lengths.of(tokens).counts.sum() == found.windows[-1, 2]
    assert said[-1].step == said[-1].total == len(TEXTS)
    alone = TinyEncoder()
    for row, (text, one) in enumerate(zip(TEXTS, tokens, strict=True)):
        places = list(found.of(row))
        assert len(places) == len(one.windows)
        for window, (begin, end, second) in zip(one.windows, places, strict=True):
            wanted = alone.encode([window], [], (2, 0), (0,)).states[0]
            assert np.allclose(found.values[begin:end], wanted, rtol=1e-3, atol=1e-3)
            assert second == window.second == 0
            words = [text[a:b] for a, b in found.offsets[begin:end].tolist() if a >= 0]
            numbers = [word for word in found.words[begin:end].tolist() if word >= 0]
            assert words == [text.split()[number] for number in numbers]
    assert len(list(found.of(len(TEXTS) - 1))) > 1


async def test_questions_lie_in_windows_over_their_texts(lane: Watched, tmp_path: Path) -> None:
    questions = [f"what is number {k} ?" for k in range(len(TEXTS))]
    with ThreadPoolExecutor(1) as threads:
        encoder = FeatureEncoder(lane, tiny_tokenizer(), threads)
        tokens = await encoder.tokenize(Texts(TEXTS, Reading.QUESTION, seconds=questions))
        states = open_states(tmp_path, tokens, (1,), 16)
        await encoder.run([Part(tokens, (), np.zeros((len(TEXTS), 0, 16)), states)], "acme", lambda _: None)
    at = 7
    [(begin, end, second), *_] = states.of(at)
    wanted = TinyEncoder().encode(tokens[at].windows[:1], [], (1,), (0,)).states[0]
    assert second == 1 + 5 + 1
    assert np.allclose(states.values[begin:end], wanted, rtol=1e-3, atol=1e-3)
    assert (states.offsets[begin : begin + second] == -1).all()
    assert states.offsets[begin + second].tolist() == [0, len(TEXTS[at].split()[0])]


async def test_pairs_are_read_together_and_apart_with_one_progress(lane: Watched) -> None:
    seconds, said = TEXTS[::-1], []
    made = [np.full((len(TEXTS), len(SLOTS), 16), np.nan, np.float32) for _ in range(3)]
    with ThreadPoolExecutor(1) as threads:
        encoder = FeatureEncoder(lane, tiny_tokenizer(), threads)
        read = [
            await encoder.tokenize(what)
            for what in (Texts(TEXTS, Reading.JOINT, seconds=seconds), Texts(TEXTS), Texts(seconds))
        ]
        parts = [Part(tokens, SLOTS, into) for tokens, into in zip(read, made, strict=True)]
        await encoder.run(parts, "acme", said.append)
    alone = TinyEncoder()
    for tokens, into in zip(read, made, strict=True):
        for index in (0, 17, len(TEXTS) - 1):
            assert np.allclose(into[index], alone.encode(tokens[index].windows, SLOTS).pooled[0], atol=1e-6)
    assert np.allclose(made[1], made[2][::-1], atol=1e-6)
    steps = [one.step for one in said]
    assert steps == sorted(steps)
    assert (steps[-1], said[-1].total, said[-1].seconds_left) == (3 * len(TEXTS), 3 * len(TEXTS), 0)


async def test_states_too_large_for_half_precision_are_cut_and_not_made_infinite(tmp_path: Path) -> None:
    metrics, encoder = Metrics(), TinyEncoder()
    encoder._table *= 1e6
    lane = Lane(encoder, metrics, FeatureCache(0, metrics))
    lane.start()
    with ThreadPoolExecutor(1) as threads:
        made = FeatureEncoder(lane, tiny_tokenizer(), threads)
        tokens = await made.tokenize(Texts(["a barn"], offsets=True))
        states = open_states(tmp_path, tokens, (1,), 16)
        await made.run([Part(tokens, (), np.zeros((1, 0, 16)), states)], "acme", lambda _: None)
    await lane.stop()
    assert np.isfinite(states.values).all()
    assert np.abs(states.values).max() == np.finfo(np.float16).max
