"""`candelabra predict` and `candelabra embed`: texts from the command line, a file or stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from candelabra.cli import data, show
from candelabra.cli.session import SERVER, Json, Problem, Server, Timeout, connect
from candelabra_client import Answer

BATCH = 64

Texts = Annotated[list[str] | None, typer.Argument(help="Texts; without any, --file or one a line from stdin.")]
File = Annotated[Path | None, typer.Option("--file", "-f", help="Texts: .csv, .tsv, .jsonl, .parquet, or one a line.")]
TextColumn = Annotated[str, typer.Option("--text-column", help="Column of the texts in --file.")]


def predict(
    heads: Annotated[str, typer.Argument(metavar="HEAD[,HEAD…]", help="tenant/name, tenant/name@3 or …@alias.")],
    texts: Texts = None,
    file: File = None,
    text_column: TextColumn = "text",
    top_k: Annotated[int, typer.Option(help="Labels shown with their probabilities.")] = 3,
    timeout: Timeout = None,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Ask one or several heads about texts; --json gives one object a text and line."""
    asked = [head.strip() for head in heads.split(",") if head.strip()]
    if not asked:
        raise typer.BadParameter("Name at least one head.")
    rows: list[tuple[object, ...]] = []
    with connect(server) as client:
        for batch in _batches(_texts(texts, file, text_column)):
            answers = client.predict(batch, asked, top_k=top_k, timeout=timeout)
            for text, answer in zip(batch, answers, strict=True):
                if json:
                    found = {"text": text, "predictions": answer.predictions, "backbone": answers.backbone}
                    show.as_json(found, indent=None)
                else:
                    rows += _rows(text, answer)
    if not json:
        show.table(("text", "head", "answer", "probabilities", "values", ""), rows)


def embed(
    texts: Texts = None,
    file: File = None,
    text_column: TextColumn = "text",
    pooling: Annotated[str, typer.Option(help="mean or cls.")] = "mean",
    layer: Annotated[int | None, typer.Option(help="Encoder layer; the last one otherwise.")] = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Scale every vector to length 1.")] = False,
    timeout: Timeout = None,
    server: Server = SERVER,
    json: Json = False,
) -> None:
    """Print the encoder's vectors; --json gives all numbers, one object a text and line."""
    with connect(server) as client:
        for batch in _batches(_texts(texts, file, text_column)):
            found = client.embed(batch, pooling=pooling, layer=layer, normalize=normalize, timeout=timeout)
            for text, embedding in zip(batch, found.embeddings, strict=True):
                if json:
                    show.as_json({"text": text, **show.plain(embedding)}, indent=None)
                    continue
                start = " ".join(f"{value:+.3f}" for value in embedding.values[:6])
                print(f"{_clip(text, 40)}\t{len(embedding.values)} numbers: {start} …")


def _texts(texts: list[str] | None, file: Path | None, text_column: str) -> Sequence[str] | Iterator[str]:
    if texts and file is not None:
        raise typer.BadParameter("Give texts or --file, not both.")
    if texts:
        return texts
    if file is not None:
        return data.texts(file, data.Columns(text_column))
    if sys.stdin.isatty():
        raise Problem("There is no text: write it after the head, name a --file, or pipe lines in.")
    return (line.rstrip("\n") for line in sys.stdin if line.strip())


def _batches(texts: Sequence[str] | Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows(text: str, answer: Answer) -> Iterator[tuple[object, ...]]:
    for number, prediction in enumerate(answer):
        scores = "  ".join(f"{label} {probability:.3f}" for label, probability in prediction.scores.items())
        notes = "cut" if prediction.truncated else f"{prediction.windows} windows" if prediction.windows > 1 else ""
        label = ", ".join(prediction.labels) or "none"
        yield _clip(text, 60) if number == 0 else "", prediction.head, label, scores, prediction.values, notes


def _clip(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
