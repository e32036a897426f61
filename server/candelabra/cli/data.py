"""Examples and texts out of CSV, TSV, JSONL and Parquet files. What is wrong is told with file and line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candelabra.cli.session import Problem, read_file
from candelabra_client import Example, Input, Span

KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
CELL_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Columns:
    """Where text and labels stand. `label` empty: "label" or "labels". `separator` splits a cell of many labels."""

    text: str = "text"
    label: str = ""
    separator: str = ""


def examples(path: Path, columns: Columns) -> list[Example]:
    found = [_example(row, where, columns) for where, row in _rows(path)]
    if not found:
        raise Problem(f"{path} has no rows: give it at least a few examples a label.")
    return found


def texts(path: Path, columns: Columns) -> list[str]:
    """The text column, or every line of a file of another kind."""
    if path.suffix.lower() in KINDS:
        return [_text(row, where, columns) for where, row in _rows(path)]
    return [line for line in _decode(path, read_file(path)).splitlines() if line.strip()]


def inputs(path: Path, columns: Columns) -> list[Input]:
    """The same with second texts and questions, where there are such columns."""
    if path.suffix.lower() not in KINDS:
        return [Input(line) for line in texts(path, columns)]
    found = []
    for where, row in _rows(path):
        at = columns.text if columns.text in row else "context" if "context" in row else columns.text
        found.append(
            Input(_text(row, where, Columns(at)), str(row.get("text_pair") or ""), str(row.get("question") or ""))
        )
    return found


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row with the words that name its place."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise Problem(f"{path} is of no known kind: use a file that ends in {', '.join(KINDS)}.")
    if kind == "parquet":
        return _parquet(path)
    content = _decode(path, read_file(path))
    return _jsonl(path, content) if kind == "jsonl" else _csv(path, content, "\t" if kind == "tsv" else ",")


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Problem(f"{path}, line {line}: this is not UTF-8; save the file as UTF-8.") from None


def _jsonl(path: Path, content: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # Not splitlines(): U+2028 and its kin may stand inside a JSON string.
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise Problem(f"{where}: this is not JSON ({error}); write one object a line.") from None
        if not isinstance(row, dict):
            raise Problem(f'{where}: an object is needed, as {{"text": "…", "label": "…"}}.')
        yield where, row


def _csv(path: Path, content: str, delimiter: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    csv.field_size_limit(CELL_BYTES)
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row:
                raise Problem(f"{where}: there are more cells than headings; quote cells that hold {delimiter!r}.")
            yield where, row
    except csv.Error as error:
        raise Problem(f"{path}, line {reader.line_num}: {error}; check the quotes of this row.") from None


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow  # heavy, and most calls do without
    import pyarrow.parquet

    read_file_error = f"{path} cannot be read as Parquet"
    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise Problem(f"{read_file_error} ({str(error).splitlines()[0]}): check the file.") from None
    for number, row in enumerate(rows, 1):
        yield f"{path}, row {number}", row


def _example(row: Mapping[str, Any], where: str, columns: Columns) -> Example:
    """What labels the row is told by its columns: tags, a question, spans, a target, else labels."""
    if "tokens" in row and "tags" in row:
        return Example(tokens=_words(row, "tokens", where), tags=_words(row, "tags", where), id=_id(row))
    if "question" in row:
        at = columns.text if columns.text in row else "context"
        text = _text(row, where, Columns(at))
        return Example(text, question=str(row["question"]), spans=_answers(row, where), id=_id(row))
    text = _text(row, where, columns)
    pair = str(row.get("text_pair") or "")
    if "spans" in row:
        return Example(text, spans=_spans(row["spans"], where), id=_id(row))
    if "target" in row:
        return Example(text, text_pair=pair, target=_number(row["target"], where), id=_id(row))
    for name in ("soft_labels", "votes"):
        if row.get(name):
            return Example(text, text_pair=pair, id=_id(row), **_weak(name, row[name], where))
    return Example(text, _labels(row, where, columns), text_pair=pair, id=_id(row))


def _id(row: Mapping[str, Any]) -> str:
    value = row.get("id")
    return "" if value is None else str(value)


def _words(row: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = row[name].split() if isinstance(row[name], str) else row[name]
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise Problem(f"{where}: {name!r} holds {_brief(value)}; a list of words is needed.")
    return tuple(value)


def _number(value: object, where: str) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise Problem(f"{where}: 'target' holds {_brief(value)}; a number is needed.") from None


def _spans(value: object, where: str) -> tuple[Span, ...]:
    try:
        found: Any = json.loads(value) if isinstance(value, str) else value
        return tuple(Span(int(one["start"]), int(one["end"]), str(one.get("label", ""))) for one in found)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Problem(
            f'{where}: spans are {_brief(value)}; write a list of {{"start": 0, "end": 4, "label": "…"}}.'
        ) from None


def _answers(row: Mapping[str, Any], where: str) -> tuple[Span, ...]:
    """As `spans`, or as SQuAD has them: {"text": […], "answer_start": […]}."""
    if "spans" in row:
        return _spans(row["spans"], where)
    try:
        answers = row.get("answers") or {"text": [], "answer_start": []}
        found = zip(answers["answer_start"], answers["text"], strict=True)
        return tuple(Span(int(start), int(start) + len(text)) for start, text in found)
    except (ValueError, TypeError, KeyError):
        raise Problem(
            f'{where}: \'answers\' are {_brief(row["answers"])}; write {{"text": ["…"], "answer_start": [0]}}.'
        ) from None


def _weak(name: str, value: object, where: str) -> dict[str, Any]:
    """Soft labels {label: weight}, or votes {labelling function: label}."""
    if not isinstance(value, Mapping):
        raise Problem(f"{where}: {name!r} holds {_brief(value)}; an object is needed.")
    if name == "votes":
        return {"votes": tuple((str(function), str(label)) for function, label in value.items() if label)}
    return {"soft_labels": {str(label): _number(weight, where) for label, weight in value.items()}}


def _text(row: Mapping[str, Any], where: str, columns: Columns) -> str:
    if columns.text not in row:
        raise Problem(f"{where}: there is no column {columns.text!r}, only {_names(row)}; name it with --text-column.")
    text = row[columns.text]
    if not isinstance(text, str):
        raise Problem(f"{where}: {columns.text!r} is {_brief(text)}, not a text.")
    return text


def _labels(row: Mapping[str, Any], where: str, columns: Columns) -> tuple[str, ...]:
    name = columns.label or ("label" if "label" in row else "labels")
    if name not in row:
        wanted = repr(name) if columns.label else "'label' or 'labels'"
        raise Problem(f"{where}: there is no column {wanted}, only {_names(row)}; name it with --label-column.")
    value = row[name]
    if isinstance(value, str) and columns.separator:
        return tuple(part.strip() for part in value.split(columns.separator) if part.strip())
    if isinstance(value, list):
        return tuple(_label(item, where, name) for item in value)
    return (_label(value, where, name),)


def _label(value: object, where: str, name: str) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int):  # class numbers, as many data sets have them; true and false among them
        return json.dumps(value)
    raise Problem(f"{where}: {name!r} holds {_brief(value)}; a label is a word or a whole number.")


def _names(row: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in row) or "none at all"


def _brief(value: object) -> str:
    return "nothing" if value is None or value == "" else repr(value)[:60]
