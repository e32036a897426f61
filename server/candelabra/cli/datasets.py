"""`candelabra datasets`: labelled examples that stay on the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from candelabra.cli import data, show
from candelabra.cli.adapt import LabelColumn, LabelSeparator, TextColumn
from candelabra.cli.session import SERVER, Json, Server, connect

app = typer.Typer(help="Datasets on the server.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="tenant/name")]


@app.command("list")
def list_(
    tenant: Annotated[str, typer.Argument(help="Only this tenant's.")] = "",
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """List datasets."""
    with connect(server) as client:
        found = client.datasets.list(tenant)
    if json:
        return show.as_json(found)
    rows = [(dataset.name, dataset.rows, len(dataset.label_counts), dataset.update_time) for dataset in found]
    return show.table(("dataset", "rows", "labels", "changed"), rows, "There are no datasets yet.")


@app.command("show")
def show_(name: Name, server: Server = SERVER, json: Json = False) -> None:
    """Show a dataset's size and labels."""
    with connect(server) as client:
        found = client.datasets.get(name)
    if json:
        return show.as_json(found)
    show.facts({"dataset": found.name, "rows": found.rows, "made": found.create_time, "changed": found.update_time})
    counts = sorted(found.label_counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return show.table(("label", "rows"), counts)


@app.command()
def append(
    name: Name,
    file: Annotated[Path, typer.Argument(help="Examples: .csv, .tsv, .jsonl or .parquet.")],
    text_column: TextColumn = "text",
    label_column: LabelColumn = "",
    label_separator: LabelSeparator = "",
    request_id: Annotated[str | None, typer.Option(help="The same one appends once.")] = None,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Append the examples of a file: all of them or none."""
    examples = data.examples(file, data.Columns(text_column, label_column, label_separator))
    with connect(server) as client:
        done = client.datasets.append(name, examples, request_id=request_id)
    if json:
        return show.as_json(done)
    return print(f"Appended {done.appended} rows: {done.dataset.name} has {done.dataset.rows} now.")


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Delete a dataset; heads trained on it stay."""
    if not yes:
        typer.confirm(f"Delete the dataset {name}? This cannot be undone", abort=True, err=True)
    with connect(server) as client:
        client.datasets.delete(name)
    if json:
        return show.as_json({"deleted": name})
    return print(f"Deleted {name}.")
