"""Settings: read from the environment, flags on top, nonsense refused."""

from __future__ import annotations

import dataclasses

import pytest

from candelabra.errors import InvalidArgument
from candelabra.settings import Settings, read


def test_flags_win_over_the_environment() -> None:
    environ = {"CANDELABRA_PORT": "7", "CANDELABRA_WINDOW": "64"}
    settings = read({"port": 9, "window": None}, environ)
    assert (settings.port, settings.window) == (9, 64)


def test_what_is_not_a_number_is_named() -> None:
    with pytest.raises(InvalidArgument, match="CANDELABRA_PORT is 'soon'"):
        read(environ={"CANDELABRA_PORT": "soon"})


@pytest.mark.parametrize(
    "change", [{"max_inputs": 0}, {"batch_tokens": -1}, {"precision": "int3"}, {"log_format": "xml"}]
)
def test_nonsense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(change))):
        Settings(**change)  # type: ignore[arg-type]


def test_the_defaults_are_safe() -> None:
    settings = read(environ={})
    assert settings.host == "127.0.0.1"
    assert settings.database.startswith("sqlite:///")
    assert all(spec.metadata["help"].endswith(".") for spec in dataclasses.fields(Settings))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read(environ={}).port = 1  # type: ignore[misc]
