"""A running job, live: a bar on a terminal, a line for each phase elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from candelabra.cli.show import cell, console
from candelabra_client import JobEvent


def follow(events: Iterable[JobEvent], title: str) -> None:
    """Shows events, on stderr, until they end."""
    out = console(stderr=True)
    if not out.is_terminal:
        phase = ""
        for event in events:
            if event.progress is not None and event.progress.phase != phase:
                phase = event.progress.phase
                out.print(f"{title}: {phase} {event.message}".rstrip())
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task(f"{title}: queued", total=None, detail="")
        for event in events:
            if (now := event.progress) is not None:
                bar.update(
                    task,
                    description=f"{title}: {now.phase}",
                    completed=now.step,
                    total=now.total or None,
                    detail=detail(event),
                )


def detail(event: JobEvent) -> str:
    """Step, loss, metrics and time left, as far as they are known."""
    now = event.progress
    if now is None:
        return event.message
    parts = [f"{now.step}/{now.total}" if now.total else str(now.step) if now.step else ""]
    if now.loss is not None:
        parts.append(f"loss {cell(now.loss)}")
    parts += [f"{name} {cell(value)}" for name, value in now.metrics.items()]
    if now.seconds_left is not None:
        parts.append(f"{timedelta(seconds=round(now.seconds_left))} left")
    return "  ".join(part for part in [*parts, event.message] if part)
