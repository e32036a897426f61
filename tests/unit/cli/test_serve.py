"""`serve` has a flag for every setting, and flags stand above the environment."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from candelabra.cli import serve
from candelabra.settings import Settings

Run = Callable[..., Any]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which the server would have been started."""
    found: list[Settings] = []
    app = types.ModuleType("candelabra.app")
    app.run = lambda settings: found.append(settings) or 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "candelabra.app", app)
    return found


def test_every_setting_is_a_flag() -> None:
    assert list(inspect.signature(serve.command()).parameters) == [spec.name for spec in fields(Settings)]


def test_every_flag_reaches_its_setting(run: Run, seen: list[Settings]) -> None:
    arguments: list[str] = []
    wanted: dict[str, object] = {}
    for spec in fields(Settings):
        match spec.default:
            case bool():
                wanted[spec.name] = not spec.default
                arguments.append(f"--{'no-' if spec.default else ''}{serve.flag(spec.name)[2:]}")
            case int() | float():
                wanted[spec.name] = spec.default + 1
                arguments += [serve.flag(spec.name), str(wanted[spec.name])]
            case _:
                choice = {"precision": "fp32", "log_format": "json", "log_level": "debug"}
                wanted[spec.name] = choice.get(spec.name, f"some-{spec.name}")
                arguments += [serve.flag(spec.name), str(wanted[spec.name])]
    ran = run("serve", *arguments)
    assert ran.code == 0, ran.err
    assert {spec.name: getattr(seen[0], spec.name) for spec in fields(Settings)} == wanted


def test_a_flag_stands_above_the_environment(run: Run, seen: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDELABRA_PORT", "9001")
    monkeypatch.setenv("CANDELABRA_MAX_HEADS", "5")
    run("serve", "--port", "9002")
    assert (seen[0].port, seen[0].max_heads) == (9002, 5)


def test_a_setting_that_cannot_be_is_one_sentence(run: Run, seen: list[Settings]) -> None:
    ran = run("serve", "--log-level", "loud")
    assert ran.code == 1
    assert "log_level" in ran.err
    assert run("serve", "--port", "many").code == 2
