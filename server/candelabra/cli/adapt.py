"""`candelabra adapt`: from a file of examples to a served head."""

from __future__ import annotations

import hashlib
from json import loads as parse
from pathlib import Path
from typing import Annotated, Any

import typer

from candelabra.cli import data, show
from candelabra.cli.progress import follow
from candelabra.cli.session import SERVER, Json, Problem, Server, connect, read_file
from candelabra_client import Client, Example
from candelabra_client.rooms import AdaptHandle

INLINE_ROWS = 10_000
INLINE_BYTES = 8 * 1024**2

TextColumn = Annotated[str, typer.Option("--text-column", help="Column of the texts.")]
LabelColumn = Annotated[
    str, typer.Option("--label-column", help='Column of the labels; without it "label" or "labels".')
]
LabelSeparator = Annotated[
    str, typer.Option("--label-separator", help="Splits a cell of many labels, for example ';'.")
]


def adapt(
    head: Annotated[str, typer.Argument(help="tenant/name; made where there is none of that name.")],
    file: Annotated[Path | None, typer.Argument(help="Examples: .csv, .tsv, .jsonl or .parquet.")] = None,
    dataset: Annotated[str, typer.Option(help="tenant/name of a dataset on the server, instead of a file.")] = "",
    validation: Annotated[Path | None, typer.Option(help="Examples to score on.")] = None,
    domain: Annotated[str, typer.Option(help="A domain of `candelabra domains`.")] = "",
    task: Annotated[str, typer.Option(help="A task of that domain.")] = "",
    method: Annotated[
        str, typer.Option(help="auto, closed_form, hybrid, top_k …; without it the server races several.")
    ] = "",
    solver: Annotated[str | None, typer.Option(help="closed_form: ridge or lda.")] = None,
    layers: Annotated[str, typer.Option(help="Encoder layers, for example 3,6.")] = "",
    ridge: Annotated[float | None, typer.Option(help="closed_form: strength.")] = None,
    hidden: Annotated[int | None, typer.Option(help="dense: width of the hidden layer, 0 for none.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="dense.")] = None,
    max_epochs: Annotated[int | None, typer.Option(help="dense.")] = None,
    patience: Annotated[int | None, typer.Option(help="dense: epochs without improvement.")] = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "",
    label_separator: LabelSeparator = "",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE: a hyper-parameter of another method; repeat it.")
    ] = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE: a threshold of the gate, such as margin=0.01; repeat it.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="JSON file {label: description}; enough to start without examples.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a file with bad rows instead of leaving them out.")
    ] = False,
    budget: Annotated[float, typer.Option(help="Seconds for racing methods; 0: the server's default.")] = 0.0,
    self_training: Annotated[int, typer.Option(help="Rounds on the rows without labels, 0 to 3.")] = 0,
    alias: Annotated[str, typer.Option(help="Alias to move to the new version.")] = "live",
    promote: Annotated[bool, typer.Option(help="Move the alias if the gate accepts the new version.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Move it even if the gate refuses.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed and data give the same head.")] = 0,
    request_id: Annotated[str | None, typer.Option(help="The same one gives the same job.")] = None,
    watch: Annotated[bool, typer.Option(help="Stay and show the progress, or print the job's name and go.")] = True,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Train the next version of a head and, if it is not worse, serve it."""
    descriptions = _descriptions(labels)
    if (file is None) == (not dataset) and not (descriptions and file is None):
        raise typer.BadParameter("Give either a file of examples or --dataset; or --labels alone.")
    columns = data.Columns(text_column, label_column, label_separator)
    options = {
        "solver": solver,
        "layers": _numbers(layers),
        "ridge": ridge,
        "hidden": hidden,
        "learning_rate": learning_rate,
        "max_epochs": max_epochs,
        "patience": patience,
        **_values(set_, "--set"),
    }
    rules = {name: float(str(value)) for name, value in _values(gate, "--gate").items()}
    source: dict[str, Any] = {"dataset": dataset} if dataset else {"examples": []}
    examples = data.examples(file, columns) if file is not None else []
    checks = data.examples(validation, columns) if validation is not None else None
    with connect(server) as client:
        if examples:
            source = _source(client, head, examples)
        handle = client.adapt(
            head,
            **source,
            validation=checks,
            domain=domain,
            task=task,
            method=method or None,
            options={name: value for name, value in options.items() if value is not None},
            alias=alias,
            promote=promote,
            force=force,
            seed=seed,
            gate=rules,
            strict=strict,
            label_descriptions=descriptions,
            budget_seconds=budget,
            self_training=self_training,
            request_id=request_id,
        )
        if watch:
            finish(handle, json)
        elif json:
            show.as_json(handle.job)
        else:
            print(f"{handle.job.name} is {handle.job.state}: see it with `candelabra jobs watch {handle.job.name}`.")


def finish(handle: AdaptHandle, json: bool) -> None:
    """Follows a job to its end and shows how it ended; an end without a promoted version is a failure."""
    try:
        if not json and not handle.job.ended:
            follow(handle.watch(), handle.job.head)
        handle.wait()
    except KeyboardInterrupt:
        name = handle.job.name
        out = show.console(stderr=True)
        out.print(f"The job goes on: see it with `candelabra jobs watch {name}`, end it with `jobs cancel {name}`.")
        raise
    if json:
        show.as_json(handle.job)
    else:
        show.job(handle.job)
    handle.job.raise_for_state()


def _source(client: Client, head: str, examples: list[Example]) -> dict[str, Any]:
    """Inside the request, or uploaded as a dataset named after its content where there are too many for that."""
    size = sum(len(example.text) + 8 * len(example.tokens) for example in examples)
    if len(examples) <= INLINE_ROWS and size <= INLINE_BYTES:
        return {"examples": examples}
    content = hashlib.sha256()
    for example in examples:
        content.update(repr(example).encode("utf-8", "surrogatepass"))
    digest = content.hexdigest()
    name = f"{head.partition('@')[0][:100]}-{digest[:12]}"
    # The content is the request's id: a second run with the same file adds nothing.
    client.datasets.append(name, examples, request_id=f"content-{digest[:32]}")
    return {"dataset": name}


def _descriptions(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        found = parse(read_file(path))
        return {str(label): str(description or label) for label, description in found.items()}
    except (ValueError, AttributeError):
        raise Problem(f'{path} is not a JSON object: write {{"label": "what it means", …}}.') from None


def _values(pairs: list[str] | None, option: str) -> dict[str, Any]:
    """NAME=VALUE pairs; values that read as JSON are what they say, others are words."""
    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Problem(f"{option} is {pair!r}: write NAME=VALUE.")
        try:
            found[name] = parse(value)
        except ValueError:
            found[name] = value
    return found


def _numbers(text: str) -> list[int] | None:
    try:
        return [int(part) for part in text.split(",")] if text else None
    except ValueError:
        raise Problem(f"--layers is {text!r}: write whole numbers with commas, for example 3,6.") from None
