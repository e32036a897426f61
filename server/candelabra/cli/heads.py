"""`candelabra heads`: look at heads and versions, promote, roll back, delete, export, import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from candelabra.cli import show
from candelabra.cli.session import SERVER, Json, Problem, Server, connect, read_file
from candelabra_client import Head, HeadVersion

app = typer.Typer(help="Heads and their versions.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="tenant/name")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="tenant/name@3, or tenant/name for the live one.")]
Alias = Annotated[str, typer.Option(help="The alias meant.")]
Limit = Annotated[int, typer.Option(help="At most so many; 0 for all.")]


@app.command("list")
def list_(
    tenant: Annotated[str, typer.Argument(help="Only this tenant's.")] = "",
    limit: Limit = 0,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """List heads."""
    with connect(server) as client:
        found = client.heads.list(tenant, limit=limit)
    if json:
        return show.as_json(found)
    rows = [(head.name, head.domain, head.task, head.aliases, head.version_count, head.create_time) for head in found]
    return show.table(("head", "domain", "task", "aliases", "versions", "since"), rows, "There are no heads yet.")


@app.command("show")
def show_(name: Version, server: Server = SERVER, json: Json = False) -> None:
    """Show a version with its report: tenant/name@3, or tenant/name for the live one."""
    with connect(server) as client:
        found = client.heads.version(name)
    if json:
        return show.as_json(found)
    lineage = found.lineage
    show.facts(
        {
            "version": found.name,
            "digest": found.digest,
            "backbone": found.backbone,
            "domain": f"{found.domain} / {found.task}",
            "method": found.method,
            "labels": _labels(found),
            "size": f"{found.bytes} bytes",
            "aliases": found.aliases,
            "accepted": found.accepted,
            **({"retired": found.retired} if found.retired else {}),
            "trained on": f"{lineage.dataset} ({lineage.dataset_rows} rows), {lineage.job}" if lineage else "",
        }
    )
    if found.report is not None:
        show.report(found.report)
    return None


@app.command()
def versions(name: Name, limit: Limit = 0, server: Server = SERVER, json: Json = False) -> None:
    """List the versions of a head, the newest first."""
    with connect(server) as client:
        found = client.heads.versions(name, limit=limit)
    if json:
        return show.as_json(found)
    rows = [
        (
            version.name,
            show.short(version.digest),
            version.method,
            len(version.labels),
            version.aliases,
            version.accepted,
        )
        for version in found
    ]
    return show.table(("version", "digest", "method", "labels", "aliases", "accepted"), rows)


@app.command()
def drift(name: Version, server: Server = SERVER, json: Json = False) -> None:
    """Show how recent traffic of a version differs from what it was trained on."""
    with connect(server) as client:
        found = client.heads.drift(name)
    return show.as_json(found) if json else show.facts(show.plain(found))


@app.command()
def promote(name: Version, alias: Alias = "live", server: Server = SERVER, json: Json = False) -> None:
    """Point an alias at a version."""
    with connect(server) as client:
        _moved(client.heads.set_alias(name, alias), alias, json)


@app.command()
def rollback(name: Name, alias: Alias = "live", server: Server = SERVER, json: Json = False) -> None:
    """Point an alias at the version it pointed at before."""
    with connect(server) as client:
        _moved(client.heads.roll_back(name, alias), alias, json)


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="tenant/name@3 for a version, tenant/name for the whole head.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Delete a version, or a head with all its versions."""
    if not yes:
        what = f"version {name}" if "@" in name else f"head {name} with all its versions"
        typer.confirm(f"Delete the {what}? This cannot be undone", abort=True, err=True)
    with connect(server) as client:
        gone = client.heads.delete(name)
    if json:
        return show.as_json({"deleted": gone})
    return print(f"Deleted {', '.join(gone) or name}.")


@app.command()
def export(
    name: Version,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Write one version to one file."""
    with connect(server) as client:
        version = client.heads.version(name)
        content = client.heads.export(version.name)
    path = output or Path(f"{version.name.replace('/', '-').replace('@', '-v')}.safetensors")
    temporary = path.with_name(f"{path.name}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise Problem(f"{path} cannot be written ({error.strerror}): name another file with --output.") from None
    if json:
        return show.as_json({"head": version.name, "digest": version.digest, "file": str(path), "bytes": len(content)})
    return print(f"Wrote {version.name} to {path} ({len(content)} bytes).")


@app.command("import")
def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A file made by `heads export`.")],
    alias: Annotated[str, typer.Option(help="Alias to move to it; none otherwise.")] = "",
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Make an exported file the next version of a head."""
    content = read_file(file)
    with connect(server) as client:
        version = client.heads.import_(name, content, alias=alias)
    if json:
        return show.as_json(version)
    return print(f"{file} is now {version.name}{f', and {alias} points at it' if alias else ''}.")


def _moved(head: Head, alias: str, json: bool) -> None:
    if json:
        return show.as_json(head)
    return print(f"{alias} of {head.name} is now version {head.aliases.get(alias, 'unknown')}.")


def _labels(version: HeadVersion) -> str:
    shown = ", ".join(version.labels[:20])
    return shown if len(version.labels) <= 20 else f"{shown} and {len(version.labels) - 20} more"
