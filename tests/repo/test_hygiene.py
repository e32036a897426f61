"""The repository itself: files of readable size, tests beside the code, nothing about the machine it was made on."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MAX_LINES = 400
MAX_LINES_OF_TESTS = 500

# Paths and hosts of somebody's machine or registry. Written in pieces, so that this file does not find itself.
FOREIGN = re.compile(
    r"(?<![\w.])/(?:" + "work" + "|" + "root" + r")/|/(?:home|" + r"Users)/\w|/opt/(?:wheels|py" + "pi)"
    r"|py" + r"pi\.org|python" + r"hosted\.org|npm" + r"js\.org|debian" + r"\.org|pytorch" + r"\.org"
)

# What is tested together with its neighbours: beginning of the module's name -> files that do it, below tests/.
TESTED_TOGETHER = {
    "__main__": "e2e",
    "backbones.": "unit/backbones/test_backbones.py",
    "cli.": "unit/cli",
    "registry.aliases": "conformance/test_registry_heads.py",
    "registry.heads": "conformance/test_registry_heads.py",
    "registry.versions": "conformance/test_registry_heads.py",
    "registry.datasets": "conformance/test_registry_datasets.py",
    "registry.job": "conformance/test_registry_jobs.py",
    "registry.queue": "conformance/test_registry_jobs.py",
    "registry.": "conformance/test_registry.py",
    "rpc.adaptation": "rpc/test_adapt.py",
    "rpc.datasets": "rpc/test_bad_input.py",
    "rpc.domains": "e2e/test_fourth_domain.py",
    "rpc.heads": "rpc/test_heads.py",
    "adapt.affair": "unit/adapt/test_care.py",
    "adapt.auditing": "rpc/test_audit_calls.py",
    "adapt.classify": "unit/adapt/test_trainer.py",
    "adapt.clock": "unit/adapt/test_trainer.py",
    "adapt.faults": "unit/adapt/test_material.py",
    "adapt.methods.choices": "unit/adapt/methods/test_top_k_method.py",
    "adapt.methods.objective": "unit/adapt/methods/test_layer_mix_method.py",
    "adapt.number_rivals": "unit/adapt/test_regress.py",
    "adapt.preparation": "e2e/test_every_task.py",
    "adapt.work": "e2e/test_failures.py",
    "heads.bodies.span_choice": "unit/heads/bodies/test_span_body.py",
    "plan": "unit/test_predict_tasks.py",
    "testing.domain": "unit/test_testing_domain.py",
    "testing.encoder": "conformance/test_encoder.py",
}


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    """Every file that git knows of, generated code excluded."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [root / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.parent.name != "v1"]


def lines_about_this_machine(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if FOREIGN.search(line)]


def test_nothing_names_a_machine(root: Path, tracked: list[Path]) -> None:
    found = {}
    for path in tracked:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if lines := lines_about_this_machine(text):
            found[str(path.relative_to(root))] = lines[:3]
    assert found == {}


@pytest.mark.parametrize("text", ["cd /wo" + "rk/main", "in /ro" + "ot/.cache", "https://py" + "pi.org/simple"])
def test_the_check_sees_a_machine(text: str) -> None:
    assert lines_about_this_machine(text) == [text]


def test_files_can_be_read_in_one_sitting(root: Path, tracked: list[Path]) -> None:
    long = {}
    for path in tracked:
        lines = len(path.read_text().splitlines()) if path.suffix in (".py", ".proto", ".js") else 0
        if lines > (MAX_LINES_OF_TESTS if "tests" in path.relative_to(root).parts else MAX_LINES):
            long[str(path.relative_to(root))] = lines
    assert long == {}


def test_every_file_says_what_it_is_for(root: Path, tracked: list[Path]) -> None:
    silent = [
        str(path.relative_to(root))
        for path in tracked
        if path.suffix == ".py" and path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_names_of_test_files_are_unique(tracked: list[Path]) -> None:
    names = [path.name for path in tracked if path.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def modules(package: Path) -> Iterator[tuple[str, str]]:
    """(folder, module) of every hand-written module of the server; the folder of a top-level one is empty."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[-1] != "__init__" and parts[0] != "v1" and "migrations" not in parts:
            yield "/".join(parts[:-1]), parts[-1]


def test_tests_mirror_the_code(root: Path) -> None:
    """tests/unit has the server's folders; a test file is named for a module or for what several do together."""
    package = root / "server" / "candelabra"
    rooms = {folder for folder, _ in modules(package)}
    unit = root / "tests" / "unit"
    folders = {str(path.parent.relative_to(unit)).removeprefix(".") for path in unit.rglob("test_*.py")}
    assert folders <= rooms | {"bench", "client", "demo"}


def holds_tests(path: Path) -> bool:
    files = [path] if path.is_file() else list(path.glob("test_*.py"))
    return any("def test_" in file.read_text() for file in files)


def test_every_module_is_tested(root: Path) -> None:
    """By a file of its name below tests/, by one that imports it, or together with its neighbours."""
    tests = [path for path in (root / "tests").rglob("*.py") if path.parent.name != "repo"]
    names = {path.name for path in tests}
    text = "\n".join(path.read_text() for path in tests)
    untested = []
    for folder, module in modules(root / "server" / "candelabra"):
        room = folder.replace("/", ".")
        name = f"{room}.{module}" if room else module
        package = f"candelabra.{room}" if room else "candelabra"
        imported = re.search(rf"{re.escape(package)}\.{module}\b|from {re.escape(package)} import .*\b{module}\b", text)
        together = next((where for start, where in TESTED_TOGETHER.items() if name.startswith(start)), None)
        if f"test_{module}.py" in names or imported:
            continue
        if together is None or not holds_tests(root / "tests" / together):
            untested.append(name)
    assert untested == []
