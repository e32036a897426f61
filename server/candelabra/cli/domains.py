"""`candelabra domains`: the installed domain plugins, here or on a server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from candelabra import discovery
from candelabra.cli import show
from candelabra.cli.session import Json, connect


def domains(
    server: Annotated[
        str, typer.Option("--server", "-s", metavar="HOST:PORT", help="Ask this server instead of looking here.")
    ] = "",
    json: Json = False,
) -> None:
    """List domains with the distribution that brought each, and its version."""
    found = _of_server(server) if server else _installed()
    if json:
        return show.as_json(found)
    rows = [
        (domain["name"], domain["distribution"], domain["version"], _tasks(domain), domain["description"])
        for domain in found
    ]
    return show.table(("domain", "distribution", "version", "tasks", "description"), rows)


def _of_server(server: str) -> list[dict[str, Any]]:
    with connect(server) as client:
        return [show.plain(domain) for domain in client.domains.list()]


def _installed() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "distribution": found.distribution,
            "version": found.version,
            "description": found.domain.description,
            "tasks": [show.plain(task) for task in found.domain.tasks],
        }
        for name, found in sorted(discovery.load().items())
    ]


def _tasks(domain: dict[str, Any]) -> str:
    return ", ".join(task["name"] for task in domain["tasks"])
