"""What every command shares: the options, the client, and errors in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from candelabra_client import CandelabraError, Client, DeadlineExceeded, Unavailable
from candelabra_client.channel import DEFAULT_ADDRESS

Server = Annotated[
    str, typer.Option("--server", "-s", envvar="CANDELABRA_SERVER", metavar="HOST:PORT", help="The server to ask.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables for people.")]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="SECONDS", help="Give up after so long.")]
SERVER = DEFAULT_ADDRESS

_address = SERVER


class Problem(Exception):
    """Something that the person at the keyboard can put right; the message says how."""


def connect(server: str) -> Client:
    global _address  # the one thing that an error message needs and an error does not know
    _address = server
    return Client(server)


def explain(error: Exception) -> str:
    """One sentence with what to do."""
    if isinstance(error, Unavailable) and not error.reason:
        return (
            f"No server answers at {_address}: start one with `candelabra serve`, "
            "or name another one with --server or CANDELABRA_SERVER."
        )
    if isinstance(error, DeadlineExceeded) and not error.reason and "goes on" not in error.message:
        return f"The server at {_address} did not answer in time: try again, or allow more with --timeout."
    if isinstance(error, CandelabraError) and error.reason:
        return f"{error.message} [{error.reason}]"
    return str(error)


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}): check the name and the permissions.") from None
