"""`candelabra jobs`: what is being trained, and what became of it."""

from __future__ import annotations

from typing import Annotated

import typer

from candelabra.cli import show
from candelabra.cli.adapt import finish
from candelabra.cli.session import SERVER, Json, Server, connect

app = typer.Typer(help="Training jobs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="JOB", help="tenant/jobs/<id>")]


@app.command("list")
def list_(
    tenant: Annotated[str, typer.Argument(help="Only this tenant's.")] = "",
    head: Annotated[str, typer.Option(help="Only of this head: tenant/name.")] = "",
    state: Annotated[list[str] | None, typer.Option(help="Only in this state; may be given several times.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many; 0 for all.")] = 50,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """List jobs, the newest first."""
    with connect(server) as client:
        found = client.jobs.list(tenant, head=head, states=state or (), limit=limit)
    if json:
        return show.as_json(found)
    rows = [
        (job.name, job.head_version or job.head, job.state, job.progress.phase if job.progress else "", job.create_time)
        for job in found
    ]
    return show.table(("job", "head", "state", "phase", "since"), rows, "There are no such jobs.")


@app.command("show")
def show_(name: Name, server: Server = SERVER, json: Json = False) -> None:
    """Show a job with its report."""
    with connect(server) as client:
        found = client.jobs.get(name)
    if json:
        return show.as_json(found)
    show.job(found)
    if found.error is not None and found.error.message:
        show.facts({"why": f"{found.error.message} [{found.error.reason}]"})
    return None


@app.command()
def watch(name: Name, server: Server = SERVER, json: Json = False) -> None:
    """Follow a job until it has ended; --json gives one event a line."""
    with connect(server) as client:
        handle = client.jobs.handle(name)
        if not json:
            return finish(handle, json)
        for event in handle.watch():
            show.as_json(event, indent=None)
        handle.wait().raise_for_state()
    return None


@app.command()
def cancel(name: Name, server: Server = SERVER, json: Json = False) -> None:
    """Ask a job to stop."""
    with connect(server) as client:
        found = client.jobs.cancel(name)
    if json:
        return show.as_json(found)
    return print(f"{found.name} is {found.state}{'' if found.ended else ' and was asked to stop'}.")
