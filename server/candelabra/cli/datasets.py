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
def forget(
    name: Name,
    ids: Annotated[list[str] | None, typer.Option("--id", help="An example's id; repeat it.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="An example's text; repeat it.")] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Also in the tenant's other datasets and examples of jobs; by text.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Remove examples for good, train the affected heads again and retire their old versions."""
    if not ids and not text:
        raise typer.BadParameter("Name examples with --id or --text.")
    if not yes:
        typer.confirm(f"Forget {len(ids or []) + len(text or [])} examples of {name}?", abort=True, err=True)
    with connect(server) as client:
        done = client.datasets.forget(name, ids=ids or (), texts=text or (), everywhere=everywhere)
    if json:
        return show.as_json(done)
    print(f"Forgot {done.forgotten} rows: {done.dataset.name} has {done.dataset.rows} now.")
    if done.certificate is not None:
        show.facts(show.plain(done.certificate))
    for job in done.jobs:
        print(f"Trained again: `candelabra jobs watch {job}`.")
    return None


@app.command()
def audit(
    name: Name,
    domain: Annotated[str, typer.Option(help="A domain of `candelabra domains`.")] = "",
    task: Annotated[str, typer.Option(help="A task of that domain.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many of each kind.")] = 20,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """List the examples that are most likely mislabelled, and near-duplicates."""
    with connect(server) as client:
        found = client.datasets.audit(name, domain=domain, task=task, limit=limit)
    if json:
        return show.as_json(found)
    print(f"{found.examined} examples, {found.noise:.1%} of them probably mislabelled.")
    show.table(
        ("row", "id", "given", "suggested", "suspicion"),
        [(one.position, one.id, one.given, one.suggested, one.score) for one in found.suspects],
        "No example stands out.",
    )
    return show.table(
        ("row", "id", "like row", "id", "similarity", "other label"),
        [
            (one.position, one.id, one.of_position, one.of_id, one.similarity, one.conflicting)
            for one in found.duplicates
        ],
        "No near-duplicates.",
    )


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
