"""Progress on its way to the registry: few writes, every phase, and everything written at the end."""

from __future__ import annotations

import asyncio

import pytest

from candelabra.adapt import reporter
from candelabra.adapt.reporter import Reporter
from candelabra.types import Progress


class Notes:
    def __init__(self) -> None:
        self.written: list[Progress] = []
        self.told = 0
        self.fail = False

    def write(self, progress: Progress) -> None:
        if self.fail:
            self.fail = False
            raise OSError("the database is away")
        self.written.append(progress)

    def tell(self) -> None:
        self.told += 1

    def reporter(self) -> Reporter:
        return Reporter(self.write, self.tell)


async def test_within_a_phase_the_latest_counts_and_no_phase_is_left_out() -> None:
    notes = Notes()
    made = notes.reporter()
    for phase in ("encode", "train", "gate"):
        for step in range(1, 101):
            made.say(Progress(phase, step, 100))
    await made.close()
    assert notes.written == [Progress(phase, 100, 100) for phase in ("encode", "train", "gate")]
    assert notes.told == 1


async def test_writes_are_few_while_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "WRITE_SECONDS", 0.05)
    notes = Notes()
    made = notes.reporter()
    for step in range(100):
        made.say(Progress("train", step, 100))
        await asyncio.sleep(0.002)
    await made.close()
    assert 2 <= len(notes.written) <= 20
    assert notes.written[-1].step == 99
    assert [one.step for one in notes.written] == sorted(one.step for one in notes.written)


async def test_a_write_that_fails_is_told_to_the_log_and_the_next_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes()
    notes.fail = True
    made = notes.reporter()
    made.say(Progress("encode"))
    made.say(Progress("train"))
    await made.close()
    assert [one.phase for one in notes.written] == ["train"]
    assert "the database is away" in caplog.text


async def test_the_seconds_of_each_phase_are_kept() -> None:
    made = Notes().reporter()
    for phase in ("encode", "train", "encode"):
        made.say(Progress(phase))
        await asyncio.sleep(0.02)
    await made.close()
    assert set(made.seconds) == {"encode", "train"}
    assert made.seconds["encode"] >= 0.039
    assert 0.019 <= made.seconds["train"] < made.seconds["encode"] + 0.02


async def test_closing_without_a_word_ends_at_once() -> None:
    notes = Notes()
    await asyncio.wait_for(notes.reporter().close(), 1)
    assert (notes.written, notes.told) == ([], 0)


async def test_closing_does_not_wait_for_the_time_of_the_next_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "WRITE_SECONDS", 60)
    notes = Notes()
    made = notes.reporter()
    made.say(Progress("encode", 1, 2))
    await asyncio.sleep(0.05)
    made.say(Progress("encode", 2, 2))
    await asyncio.wait_for(made.close(), 10)
    assert [one.step for one in notes.written] == [1, 2]
