"""`candelabra advise`: which of the backbones on the server's machine suits some examples best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from candelabra.cli import data, show
from candelabra.cli.adapt import LabelColumn, LabelSeparator, TextColumn
from candelabra.cli.session import SERVER, Json, Server, connect


def advise(
    file: Annotated[Path | None, typer.Argument(help="Examples: .csv, .tsv, .jsonl or .parquet.")] = None,
    dataset: Annotated[str, typer.Option(help="tenant/name of a dataset on the server, instead of a file.")] = "",
    domain: Annotated[str, typer.Option(help="A domain of `candelabra domains`.")] = "",
    task: Annotated[str, typer.Option(help="A task of that domain.")] = "",
    backbone: Annotated[
        list[str] | None, typer.Option(help="Name or folder of a backbone; repeat it. Otherwise all on the machine.")
    ] = None,
    examples: Annotated[int, typer.Option(help="Examples looked at; 0: 1,000.")] = 0,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "",
    label_separator: LabelSeparator = "",
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Rank backbones for a task by the exact leave-one-out score of the head they would get."""
    if (file is None) == (not dataset):
        raise typer.BadParameter("Give either a file of examples or --dataset.")
    columns = data.Columns(text_column, label_column, label_separator)
    found = data.examples(file, columns) if file is not None else None
    with connect(server) as client:
        advice = client.advise(
            found,
            dataset=dataset or None,
            domain=domain,
            task=task,
            backbones=backbone or (),
            max_examples=examples,
        )
    if json:
        return show.as_json(advice)
    rows = [
        (
            one.name,
            one.score.metric if one.score else "",
            f"{one.score.value:.3f} ({one.score.low:.3f} to {one.score.high:.3f})" if one.score else "",
            one.log_me,
            one.h_score,
            one.seconds_per_1k,
            f"{one.regret.value:+.3f} ({one.regret.low:+.3f} to {one.regret.high:+.3f})" if one.regret else "",
        )
        for one in advice.backbones
    ]
    show.table(("backbone", "metric", "leave-one-out", "LogME", "H-score", "s per 1,000", "best minus this"), rows)
    return print(advice.recommendation)
