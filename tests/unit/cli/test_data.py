"""Files of examples: every kind, and what is said about a broken one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from candelabra.cli.data import Columns, examples, texts
from candelabra.cli.session import Problem
from candelabra_client import Example

WANTED = [Example("the rate fell, again", ("down",)), Example('she said "up"\u2028and left', ("up",))]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_jsonl(tmp_path: Path) -> None:
    rows = [{"text": row.text, "label": row.labels[0]} for row in WANTED]
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n"
    assert examples(write(tmp_path, "a.jsonl", content), Columns()) == WANTED


def test_jsonl_with_many_labels_none_and_numbers(tmp_path: Path) -> None:
    content = '{"text": "a", "labels": ["x", "y"]}\n{"text": "b", "labels": []}\n{"text": "c", "labels": [3]}\n'
    found = examples(write(tmp_path, "a.jsonl", content), Columns())
    assert [row.labels for row in found] == [("x", "y"), (), ("3",)]


def test_csv_and_tsv(tmp_path: Path) -> None:
    content = '\ufefftext,label\n"the rate fell, again",down\n"she said ""up""\u2028and left",up\n'
    assert examples(write(tmp_path, "a.csv", content), Columns()) == WANTED
    tsv = "body\tkind\na\tx;y\nb\t\n"
    found = examples(write(tmp_path, "a.tsv", tsv), Columns("body", "kind", ";"))
    assert [row.labels for row in found] == [("x", "y"), ()]


def test_parquet(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    one = pyarrow.table({"text": [row.text for row in WANTED], "label": [row.labels[0] for row in WANTED]})
    pyarrow.parquet.write_table(one, tmp_path / "one.parquet")
    assert examples(tmp_path / "one.parquet", Columns()) == WANTED
    many = pyarrow.table({"text": ["a", "b"], "labels": [["x", "y"], []]})
    pyarrow.parquet.write_table(many, tmp_path / "many.parquet")
    assert [row.labels for row in examples(tmp_path / "many.parquet", Columns())] == [("x", "y"), ()]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": ', "a.jsonl, line 2: this is not JSON"),
        ("a.jsonl", "[1]\n", "line 1: an object is needed"),
        (
            "a.jsonl",
            '{"body": "a", "label": "x"}',
            "no column 'text', only 'body', 'label'; name it with --text-column",
        ),
        ("a.jsonl", '{"text": "a", "kind": "x"}', "no column 'label' or 'labels', only 'text', 'kind'"),
        ("a.jsonl", '{"text": 7, "label": "x"}', "line 1: 'text' is 7, not a text"),
        ("a.jsonl", '{"text": "a", "label": null}', "line 1: 'label' holds nothing"),
        ("a.jsonl", '{"text": "a", "label": 1.5}', "line 1: 'label' holds 1.5"),
        ("a.jsonl", b'{"text": "a", "label": "x"}\n{"text": "\xff"}', "line 2: this is not UTF-8"),
        ("a.jsonl", "\n", "has no rows"),
        ("a.csv", "text,label\na,x\nb,y,z\n", "a.csv, line 3: there are more cells than headings"),
        ("a.csv", "text,label\na\n", "line 2: 'label' holds nothing"),
        ("a.parquet", "not parquet", "cannot be read as Parquet"),
        ("a.xlsx", "?", "of no known kind: use a file that ends in"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(Problem) as caught:
        examples(write(tmp_path, name, content), Columns())
    assert said in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"nowhere\.csv cannot be read"):
        examples(tmp_path / "nowhere.csv", Columns())


def test_texts_come_from_lines_or_from_a_column(tmp_path: Path) -> None:
    assert texts(write(tmp_path, "a.txt", "one\n\ntwo\n"), Columns()) == ["one", "two"]
    assert texts(write(tmp_path, "a.jsonl", '{"body": "one"}\n'), Columns("body")) == ["one"]
