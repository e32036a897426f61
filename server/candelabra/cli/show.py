"""How results look: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from candelabra_client import Job, Report

WIDE = 200
"""Columns where the output is no terminal: a table in a file or a pipe must not be cut to 80."""


def console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDE
    # No markup: names and labels of users are shown as they are.
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def as_json(value: Any, *, indent: int | None = 2) -> None:
    print(json.dumps(plain(value), indent=indent, ensure_ascii=False, default=_word), flush=indent is None)


def plain(value: Any) -> Any:
    """Dataclasses as dictionaries, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _word(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], nothing: str = "Nothing there.") -> None:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*map(cell, row))
    if made.row_count:
        console().print(made)
    else:
        console(stderr=True).print(nothing)


def facts(pairs: Mapping[str, object]) -> None:
    """Names and values, one a line."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(name, cell(value))
    console().print(made)


def cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return str(value)


def short(digest: str) -> str:
    """The first of a digest, enough to tell two apart."""
    name, colon, value = digest.partition(":")
    return f"{name}:{value[:12]}" if colon else digest[:12]


def job(found: Job) -> None:
    facts(
        {
            "job": found.name,
            "state": found.state + (" (cancel asked for)" if found.cancel_requested and not found.ended else ""),
            "head": found.head_version or found.head,
            "domain": f"{found.domain} / {found.task}",
            "method": found.method,
            "data": f"{found.dataset} ({found.dataset_rows} rows)" if found.dataset else f"{found.dataset_rows} rows",
            "phase": found.progress.phase if found.progress else "",
            "started": found.start_time,
            "ended": found.end_time,
            "attempt": found.attempt,
        }
    )
    if found.report is not None:
        report(found.report)


def report(found: Report) -> None:
    console().print()
    table(
        ("score", "value", "95 % interval"),
        [(score.metric, score.value, f"{score.low:.3f} to {score.high:.3f}") for score in found.scores],
        nothing="No scores.",
    )
    if found.baselines:
        console().print()
        table(
            ("baseline", "metric", "value", "new version minus baseline"),
            [
                (
                    baseline.name,
                    baseline.score.metric if baseline.score else "",
                    baseline.score.value if baseline.score else None,
                    f"{baseline.difference.value:+.3f} ({baseline.difference.low:+.3f} to "
                    f"{baseline.difference.high:+.3f})"
                    if baseline.difference
                    else "",
                )
                for baseline in found.baselines
            ],
        )
    console().print()
    facts(
        {
            "evaluated": f"{found.evaluation}, {found.scored_rows} rows",
            "chosen": found.chosen,
            "seconds": found.seconds,
            **({"gate": found.gate.reason} if found.gate else {}),
        }
    )
