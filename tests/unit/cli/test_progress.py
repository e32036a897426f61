"""What is said of a running job."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from candelabra.cli import progress
from candelabra_client import JobEvent, Progress


def event(sequence: int, now: Progress, message: str = "") -> JobEvent:
    return JobEvent(sequence, datetime.now(UTC), "running", now, message, None)


def test_detail_says_what_is_known() -> None:
    now = Progress("train", 3, 10, loss=0.25, metrics={"accuracy": 0.875}, seconds_left=61.2)
    assert progress.detail(event(1, now)) == "3/10  loss 0.25  accuracy 0.875  0:01:01 left"
    assert progress.detail(event(1, Progress("encode"), "warming up")) == "warming up"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "console", lambda *, stderr: terminal)
    heard = []

    def events():  # type: ignore[no-untyped-def]
        for step in (1, 2):
            heard.append(step)
            yield event(step, Progress("train", step, 2, loss=0.5))
            terminal.print("tick")  # the bar is drawn again below what is printed

    progress.follow(events(), "acme/[news]")
    assert heard == [1, 2]
    assert "acme/[news]: train" in screen.getvalue()
    assert "loss 0.5" in screen.getvalue()
