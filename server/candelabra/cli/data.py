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
from candelabra_client import Example

KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
CELL_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Columns:
    """Where text and labels stand. `label` empty: "label" or "labels". `separator` splits a cell of many labels."""

    text: str = "text"
    label: str = ""
    separator: str = ""


def examples(path: Path, columns: Columns) -> list[Example]:
    found = [Example(_text(row, where, columns), _labels(row, where, columns)) for where, row in _rows(path)]
    if not found:
        raise Problem(f"{path} has no rows: give it at least a few examples a label.")
    return found


def texts(path: Path, columns: Columns) -> list[str]:
    """The text column, or every line of a file of another kind."""
    if path.suffix.lower() in KINDS:
        return [_text(row, where, columns) for where, row in _rows(path)]
    return [line for line in _decode(path, read_file(path)).splitlines() if line.strip()]


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
