"""Advice as a use case: what is refused, how rows are scored, and that no process outlives its caller."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candelabra import errors
from candelabra.adapt import advising
from candelabra.adapt.advising import Advised, Advising, Wish, judged, row_scores
from candelabra.adapt.service import Jobs
from candelabra.adapt.survey import Question
from candelabra.discovery import Found
from candelabra.general import GeneralDomain
from candelabra.limits import Limits
from candelabra.registry import Registry
from candelabra.settings import Settings
from candelabra.testing import TinyEncoder
from candelabra.types import Example, Progress, TaskKind

EXAMPLES = [Example(f"Lamp {i} is {'on' if i % 2 else 'off'}.", ("on" if i % 2 else "off",)) for i in range(20)]
WISH = Wish(examples=EXAMPLES)


@pytest.fixture
def advice(tmp_path: Path) -> Advising:
    registry = Registry.open(f"sqlite:///{tmp_path}/registry.sqlite3")
    settings = Settings(cache_dir=str(tmp_path / "cache"))
    info, limits = TinyEncoder().info, Limits(settings)
    jobs = Jobs(registry, {"general": Found(GeneralDomain(), "candelabra", "1")}, limits, info, asyncio.Event())
    return Advising(registry, jobs, info, tmp_path, limits, settings)


def seen(name: str, right: int, seconds: float) -> dict[str, Any]:
    outputs = [[1.0, 0.0] if i < right else [0.0, 1.0] for i in range(20)]
    return {
        "name": name, "fingerprint": f"{name}:1", "outputs": outputs, "log_me": 0.5, "h_score": 1.0,
        "seconds_per_1k": seconds,
    }  # fmt: skip


def question(kind: str = "single_label") -> Question:
    return Question(["a"] * 20, [], ["x", "y"], [0] * 20, kind, "accuracy", "truncate", ["big", "small"], "", "cpu")


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (Wish(), "NO_EXAMPLES"),
        (Wish(examples=EXAMPLES, max_examples=10_000), "INVALID_ARGUMENT"),
        (Wish(examples=EXAMPLES, domain="moon"), "UNKNOWN_DOMAIN"),
        (Wish(examples=EXAMPLES, backbones=["nowhere"]), "UNKNOWN_BACKBONE"),
        (Wish(examples=EXAMPLES, backbones=[f"b{i}" for i in range(9)]), "INVALID_ARGUMENT"),
        (Wish(examples=EXAMPLES[:1] * 4), "ALL_DUPLICATES"),
    ],
)
async def test_what_is_refused_has_a_reason_and_frees_the_place(advice: Advising, wish: Wish, reason: str) -> None:
    for _ in range(2):
        with pytest.raises(errors.Error) as caught:
            async for _ in advice(wish):
                pass
        assert caught.value.reason == reason


async def test_one_at_a_time_and_a_caller_that_leaves_ends_it(
    advice: Advising, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = asyncio.Event()

    async def slow(question: Question) -> Any:
        try:
            yield {"progress": {"backbone": question.backbones[0], "at": 0, "share": 0.5}}
            await asyncio.sleep(60)
        finally:
            left.set()

    monkeypatch.setattr(advising, "lines", slow)
    async with contextlib.aclosing(advice(WISH)) as first:
        assert await anext(first) == Progress("encode", 50, 100)
        with pytest.raises(errors.QueueFull):
            await anext(advice(WISH))
    assert left.is_set()
    async with contextlib.aclosing(advice(WISH)) as again:
        assert isinstance(await anext(again), Progress)


async def test_a_backbone_that_fails_is_told_and_others_are_ranked(
    advice: Advising, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = {"backbone": "big", "reason": "BACKBONE_CORRUPT", "message": "It is torn."}

    async def half(question: Question) -> Any:
        yield {"failed": failure}
        yield {"seen": seen("small", 18, 1)}

    async def none(question: Question) -> Any:
        yield {"failed": failure}

    monkeypatch.setattr(advising, "lines", half)
    (told,) = [one async for one in advice(WISH)]
    assert isinstance(told, Advised)
    assert "big could not be tried: It is torn." in told.recommendation
    monkeypatch.setattr(advising, "lines", none)
    with pytest.raises(errors.BackboneUnavailable):
        await anext(advice(WISH))


async def test_the_process_is_gone_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    children = []
    make = asyncio.create_subprocess_exec

    async def spy(program: str, *arguments: str, **options: Any) -> Any:
        chatty = "import time\nprint('{\"progress\": 1}', flush=True)\ntime.sleep(60)"
        children.append(await make(program, "-c", chatty, **options))
        return children[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)
    async with contextlib.aclosing(advising.lines(question())) as told:
        assert await anext(told) == {"progress": 1}
    assert children[0].returncode is not None


def test_a_ranking_has_intervals_around_its_scores() -> None:
    told = judged(question(), [seen("small", 17, 1), seen("big", 18, 9)], [])
    assert [one.name for one in told.advice.backbones] == ["big", "small"]
    low, high = told.intervals["big"]
    assert low < 0.9 < high
    assert told.fingerprints == {"small": "small:1", "big": "big:1"}
    assert told.recommendation.startswith("Use small")


def test_rows_are_scored_by_what_their_task_asks() -> None:
    single = row_scores(np.array([[2.0, 1.0], [2.0, 1.0]]), np.array([0, 1]), TaskKind.SINGLE_LABEL)
    assert single.tolist() == [1, 0]
    numbers = row_scores(np.array([[1.0], [3.0], [9.0]]), np.array([1.0, 3.0, 5.0]), TaskKind.REGRESSION)
    assert numbers[:2].tolist() == [1, 1]
    assert numbers[2] < 0
    truth = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 10)
    assert row_scores(truth * 2.0 - 1, truth, TaskKind.MULTI_LABEL).mean() > 0.99
    assert row_scores(1.0 - truth * 2, truth, TaskKind.MULTI_LABEL).mean() < 0.6
