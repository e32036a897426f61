"""How values look in tables and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from candelabra.cli import show
from candelabra_client import Head


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (0.123456, "0.1235"),
        ({"live": 2, "canary": 3}, "live=2, canary=3"),
        (("a", "b"), "a, b"),
        (7, "7"),
    ],
)
def test_cells(value: object, shown: str) -> None:
    assert show.cell(value) == shown


def test_json_holds_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    head = Head("acme/news", "general", "classification", {"live": 2}, 2, 2, datetime(2026, 3, 1, tzinfo=UTC))
    show.as_json([head])
    (found,) = json.loads(capsys.readouterr().out)
    assert found["aliases"] == {"live": 2}
    assert found["create_time"] == "2026-03-01T00:00:00+00:00"


def test_an_empty_table_says_so_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("head",), [], "There are no heads yet.")
    assert capsys.readouterr() == ("", "There are no heads yet.\n")


def test_labels_that_look_like_markup_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("label",), [("[red]alert[/red] :smile:",)])
    assert "[red]alert[/red] :smile:" in capsys.readouterr().out


def test_digests_are_cut_for_people() -> None:
    assert show.short("sha256:0123456789abcdef") == "sha256:0123456789ab"
