"""The documents: every setting, metric, reason and RPC is explained, and commands that are shown exist."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import typer
from prometheus_client.metrics import MetricWrapperBase

from candelabra.cli.program import app
from candelabra.errors import every_reason
from candelabra.metrics import Metrics
from candelabra.settings import Settings
from candelabra.v1 import adaptation_pb2, datasets_pb2, domains_pb2, heads_pb2, inference_pb2


@pytest.fixture(scope="module")
def tables(root: Path) -> ModuleType:
    """docs/generate_tables.py as a module."""
    spec = importlib.util.spec_from_file_location("generate_tables", root / "docs" / "generate_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def operations(root: Path) -> str:
    return (root / "docs" / "operations.md").read_text()


def section(page: str, name: str) -> str:
    return page.split(f"<!-- {name}:begin -->")[1].split(f"<!-- {name}:end -->")[0]


def first_cells(table: str) -> list[str]:
    """The code words that the rows of a table begin with."""
    return re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)


def test_tables_are_fresh(tables: ModuleType, operations: str) -> None:
    assert tables.page(operations) == operations, "run `make docs` and commit the result"


def test_every_reason_has_advice(tables: ModuleType, operations: str) -> None:
    assert tables.GAP not in operations


def test_settings_are_complete(operations: str) -> None:
    assert first_cells(section(operations, "settings")) == [
        f"CANDELABRA_{spec.name.upper()}" for spec in fields(Settings)
    ]


def test_metrics_are_complete(operations: str) -> None:
    made = [metric for metric in vars(Metrics()).values() if isinstance(metric, MetricWrapperBase)]
    names = {re.sub(r"_(total|info)$", "", name) for name in first_cells(section(operations, "metrics"))}
    assert names == {metric.describe()[0].name for metric in made}


def test_reasons_are_complete(operations: str) -> None:
    assert first_cells(section(operations, "reasons")) == list(every_reason())


def test_rpcs_are_complete(operations: str) -> None:
    files = (adaptation_pb2, datasets_pb2, domains_pb2, heads_pb2, inference_pb2)
    methods = {
        f"{service.name}/{method.name}"
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert set(first_cells(section(operations, "rpcs"))) == methods


def test_a_stale_table_is_seen(tables: ModuleType, operations: str) -> None:
    assert tables.page(operations.replace("`CANDELABRA_HOST`", "`CANDELABRA_GHOST`")) == operations
    gone = re.sub(r"^\| `QUEUE_FULL`.*\n", "", operations, flags=re.MULTILINE)
    assert tables.GAP in tables.page(gone)


def test_settings_that_the_prose_names_exist(root: Path) -> None:
    known = {f"CANDELABRA_{spec.name.upper()}" for spec in fields(Settings)} | {
        "CANDELABRA_DATA",  # tests and the demo
        "CANDELABRA_SERVER",  # the command line
        "CANDELABRA_TRACEBACK",
    }
    pages = [root / "README.md", *(root / "docs").rglob("*.md"), *(path for path in (root / "deploy").rglob("*.yaml"))]
    wrong = {
        str(page): sorted(unknown)
        for page in pages
        if (unknown := set(re.findall(r"\bCANDELABRA_[A-Z_]+[A-Z]\b", page.read_text())) - known)
    }
    assert wrong == {}


def test_make_targets_that_are_shown_exist(root: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), flags=re.MULTILINE))
    pages = [
        root / "README.md",
        root / "CONTRIBUTING.md",
        *(root / "docs").rglob("*.md"),
        root / "protos" / "README.md",
    ]
    shown = {
        word for page in pages for word in re.findall(r"(?:^ {4}|`)make ([a-z]+)", page.read_text(), flags=re.MULTILINE)
    }
    assert {"demo", "serve", "test"} <= shown
    assert shown <= targets


def test_links_lead_somewhere(root: Path) -> None:
    broken = []
    for page in [root / "README.md", *(root / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def commands(page: str) -> set[tuple[str, ...]]:
    """Words and flags of every `candelabra …` at the beginning of a line of code or between backticks."""
    lines = re.findall(r"(?:^ {4}|^|`)candelabra ([a-z]+(?:(?= [`/.\w\"-]| *$|`)[^`\n]*)?)", page, flags=re.MULTILINE)
    return {
        (*re.match(r"[a-z]+(?: [a-z]+(?= |$))?", line)[0].split(), *re.findall(r"(?<= )--[a-z-]+", line))  # type: ignore[index]
        for line in lines
        if not line.startswith("is ")
    }


def exists(command: tuple[str, ...]) -> bool:
    """Whether the command line knows these words, and these flags of theirs."""
    known = typer.main.get_command(app)
    for word in (word for word in command if not word.startswith("--")):
        known = getattr(known, "commands", {}).get(word)
        if known is None:
            return False
    flags = {flag for parameter in known.params for flag in parameter.opts}
    return {word for word in command if word.startswith("--")} <= flags


def test_commands_that_are_shown_exist(root: Path) -> None:
    pages = [root / "README.md", *(root / "docs").rglob("*.md"), *(root / "plugins").glob("*/README.md")]
    shown = {command for page in pages for command in commands(page.read_text())}
    assert {("adapt",), ("predict",), ("backbones", "pull"), ("serve", "--host", "--port")} <= shown
    assert [" ".join(command) for command in sorted(shown) if not exists(command)] == []


def test_the_check_reads_commands() -> None:
    page = "    candelabra adapt a/b x --domain d\nas `candelabra heads show` is\ncandelabra serve --port 1   # word\n"
    assert commands(page) == {("adapt", "--domain"), ("heads", "show"), ("serve", "--port")}
    assert not exists(("heads", "shine"))
    assert not exists(("adapt", "--examplez"))


def test_paths_that_are_named_exist(root: Path) -> None:
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    named = {
        path
        for page in pages
        for path in re.findall(
            r"`((?:bench|clients|deploy|docs|plugins|protos|server|tests)/[^`\s]*)`", page.read_text()
        )
    }
    assert "clients/node" in named
    assert sorted(path for path in named if not (root / path).exists()) == []
