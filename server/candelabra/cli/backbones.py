"""`candelabra backbones`: known encoders, and those on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candelabra import settings
from candelabra.cli import show
from candelabra.cli.session import Json

if TYPE_CHECKING:
    from candelabra.backbones import Entry

app = typer.Typer(help="Encoders on this machine.", no_args_is_help=True)

CacheDir = Annotated[str | None, typer.Option("--cache-dir", help="Folder of downloaded backbones.")]
Backbone = Annotated[str, typer.Argument(metavar="BACKBONE", help="A name of `backbones list`, or a folder.")]


@app.command("list")
def list_(cache_dir: CacheDir = None, json: Json = False) -> None:
    """List the encoders of the catalogue and whether they are here."""
    from candelabra.backbones import CATALOGUE

    found = [_facts(entry, _cache(cache_dir)) for entry in CATALOGUE.values()]
    if json:
        return show.as_json(found)
    rows = [
        (
            item["name"],
            f"{item['layers']} × {item['dimension']}",
            item["window"],
            f"{item['bytes'] / 1e6:.0f} MB",
            item["licence"],
            item["path"] or "not fetched",
            item["description"],
        )
        for item in found
    ]
    headings = ("backbone", "layers × dimension", "window", "size", "licence", "here", "description")
    return show.table(headings, rows)


@app.command()
def pull(name: Backbone = "", cache_dir: CacheDir = None, json: Json = False) -> None:
    """Fetch an encoder, check it, and keep it; the default one without a name."""
    from candelabra.backbones import DEFAULT, find
    from candelabra.backbones import pull as fetch

    entry, cache = find(name or DEFAULT), _cache(cache_dir)
    out = show.console(stderr=True)
    with out.status(f"Fetching {entry.name}") as status:

        def tell(sentence: str) -> None:
            status.update(sentence) if out.is_terminal else out.print(sentence)

        path = fetch(entry, cache, tell)
    if json:
        return show.as_json(_facts(entry, cache))
    return print(f"{entry.name} is verified in {path}.")


@app.command("show")
def show_(name: Backbone, cache_dir: CacheDir = None, json: Json = False) -> None:
    """Show what is known of an encoder; fetches nothing."""
    from candelabra.backbones import find, resolve

    cache = _cache(cache_dir)
    if Path(name).expanduser().is_dir():
        found = show.plain(resolve(name, cache))
        found.pop("entry", None)
    else:
        found = _facts(find(name), cache)
    return show.as_json(found) if json else show.facts(found)


def _facts(entry: Entry, cache: Path) -> dict[str, Any]:
    from candelabra.backbones import installed

    path = installed(entry, cache)
    return {
        "name": entry.name,
        "description": entry.description,
        "repository": entry.repository,
        "revision": entry.revision,
        "layers": entry.layers,
        "dimension": entry.dimension,
        "window": entry.window,
        "bytes": entry.bytes,
        "licence": entry.licence,
        "files": dict(entry.files),
        "path": str(path) if path else None,
    }


def _cache(folder: str | None) -> Path:
    return settings.read({"cache_dir": folder}).cache
