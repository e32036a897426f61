"""`candelabra predict` and `candelabra embed`: texts from the command line, a file or stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from candelabra.cli import data, show
from candelabra.cli.session import SERVER, Json, Problem, Server, Timeout, connect
from candelabra_client import Answer, Input, Prediction

BATCH = 64

T = TypeVar("T")

Texts = Annotated[list[str] | None, typer.Argument(help="Texts; without any, --file or one a line from stdin.")]
File = Annotated[Path | None, typer.Option("--file", "-f", help="Texts: .csv, .tsv, .jsonl, .parquet, or one a line.")]
TextColumn = Annotated[str, typer.Option("--text-column", help="Column of the texts in --file.")]


def predict(
    heads: Annotated[str, typer.Argument(metavar="HEAD[,HEAD…]", help="tenant/name, tenant/name@3 or …@alias.")],
    texts: Texts = None,
    file: File = None,
    text_column: TextColumn = "text",
    text_pair: Annotated[str, typer.Option(help="The second text, for heads of pair tasks.")] = "",
    question: Annotated[str, typer.Option(help="The question, for heads that answer from the text.")] = "",
    coverage: Annotated[float, typer.Option(help="Sets and intervals that hold the truth so often: 0.9.")] = 0.0,
    outside: Annotated[bool, typer.Option("--outside", help="How unlike the training texts each text is.")] = False,
    top_k: Annotated[int, typer.Option(help="Labels or answers shown with their probabilities.")] = 3,
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
        for batch in _batches(_inputs(texts, file, text_column, text_pair, question)):
            answers = client.predict(batch, asked, top_k=top_k, coverage=coverage, outside=outside, timeout=timeout)
            for one, answer in zip(batch, answers, strict=True):
                if json:
                    found = {**show.plain(one), "predictions": answer.predictions, "backbone": answers.backbone}
                    show.as_json(found, indent=None)
                else:
                    rows += _rows(one.text, answer)
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


def _inputs(
    texts: list[str] | None, file: Path | None, text_column: str, text_pair: str, question: str
) -> Iterator[Input]:
    if file is not None and not texts:
        for one in data.inputs(file, data.Columns(text_column)):
            yield Input(one.text, text_pair or one.text_pair, question or one.question)
        return
    for text in _texts(texts, file, text_column):
        yield Input(text, text_pair, question)


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


def _batches(texts: Iterable[T]) -> Iterator[list[T]]:
    batch: list[T] = []
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
        scores = scores or "  ".join(f"{span.probability:.3f}" for span in prediction.spans or prediction.answers)
        yield (
            _clip(text, 60) if number == 0 else "",
            prediction.head,
            _said(prediction),
            scores,
            _more(prediction),
            notes,
        )


def _said(prediction: Prediction) -> str:
    """The decision in words, whatever the task."""
    if prediction.abstained:
        return f"abstains ({prediction.abstained.replace('_', ' ')})"
    if prediction.value is not None:
        return f"{prediction.value:.4g}"
    if prediction.no_answer is not None:
        return "; ".join(span.text for span in prediction.answers) or "no answer"
    if prediction.spans:
        return "; ".join(f"{span.text} [{span.label}]" for span in prediction.spans)
    return ", ".join(prediction.labels) or "none"


def _more(prediction: Prediction) -> dict[str, object]:
    """What the domain adds, and what was asked for."""
    found: dict[str, object] = dict(prediction.values)
    if prediction.no_answer is not None:
        found["no answer"] = prediction.no_answer
    if prediction.interval:
        found["interval"] = f"{prediction.interval.low:.4g} to {prediction.interval.high:.4g}"
    if prediction.prediction_set:
        found["set"] = prediction.prediction_set.labels
    if prediction.outside:
        found["outside"] = prediction.outside.score
    return found


def _clip(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
