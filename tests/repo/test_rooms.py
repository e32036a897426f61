"""The house: imports point from later rooms to earlier ones only, and each wall has its doors."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Lowest first. A room may import itself and what stands before it; docs/architecture.md says what each is for.
ORDER = (
    "errors", "types", "settings", "limits", "log", "metrics", "gpu", "plugin", "general", "discovery",
    "registry", "backbones", "engine", "heads", "drift", "testing", "adapt", "answers", "plan", "predict", "v1", "rpc",
    "app", "cli", "__main__",
)  # fmt: skip

# Library -> rooms that may import it. The command line talks to servers through the client alone.
WALLS = {
    "grpc": {"rpc", "v1", "app"},
    "grpc_health": {"rpc", "app"},
    "grpc_reflection": {"rpc", "app"},
    "grpc_status": {"rpc", "app"},
    "torch": {"engine", "heads", "adapt", "plugin", "testing"},
    "onnxruntime": {"engine", "heads", "adapt", "plugin", "testing"},
    "sqlalchemy": {"registry", "app"},
    "alembic": {"registry", "app"},
    "prometheus_client": {"metrics", "app"},
    "candelabra_client": {"cli", "testing"},
}

# Files that may touch the environment, with the reason.
ENVIRONMENT = {
    "cli/serve.py": "tells OpenMP, before torch loads it, to let waiting threads sleep",
    "cli/program.py": "CANDELABRA_TRACEBACK, when a bug is shown",
    "settings.py": "reads it, once",
    "adapt/process.py": "hands it on to the training process, with its number of threads",
    "testing/server.py": "hands it on to the server that a test starts",
}

# Modules that can run code that comes with data.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "yaml.load", "yaml.unsafe_load", "pickle.load", "pickle.loads"}


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "<relative>"
            else:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def out_of_order(room: str, source: str) -> list[str]:
    """Imports of `source`, a file of `room`, that point down the list or through a wall."""
    found = []
    for line, name in imports(ast.parse(source)):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if name == "<relative>":
            found.append(f"line {line}: relative import; write the whole name")
        elif top == "candelabra" and target in ORDER and ORDER.index(target) > ORDER.index(room):
            found.append(f"line {line}: {room} must not import {target}, which stands above it")
        elif top in WALLS and room not in WALLS[top]:
            found.append(f"line {line}: {top} may be imported in {sorted(WALLS[top])} only, not in {room}")
    return found


def unsafe(source: str) -> list[str]:
    """Places where code could come in with data."""
    tree = ast.parse(source)
    found = [f"line {line}: {name}" for line, name in imports(tree) if name.partition(".")[0] in UNSAFE_MODULES]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if dotted(node.func) in UNSAFE_CALLS:
            found.append(f"line {node.lineno}: {dotted(node.func)}()")
        for keyword in node.keywords:
            on = not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
            if keyword.arg in ("trust_remote_code", "allow_pickle") and on:
                found.append(f"line {node.lineno}: {keyword.arg} that is not False")
    return found


def reads_environment(source: str) -> list[str]:
    tree = ast.parse(source)
    names = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    found = [f"line {line}: {name}" for line, name in imports(tree) if name in names]
    return found + [
        f"line {node.lineno}: {dotted(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and dotted(node) in names
    ]


def files(package: Path) -> Iterator[tuple[str, Path]]:
    """Every hand-written file of the server with its room."""
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room not in ("__init__", "v1"):
            yield room, path


@pytest.fixture(scope="module")
def server(root: Path) -> list[tuple[str, Path]]:
    return list(files(root / "server" / "candelabra"))


def test_every_room_has_its_place(server: list[tuple[str, Path]]) -> None:
    assert {room for room, _ in server} <= set(ORDER), "add the new room to ORDER and to docs/architecture.md"


def test_every_room_is_explained(root: Path, server: list[tuple[str, Path]]) -> None:
    text = (root / "docs" / "architecture.md").read_text()
    assert [room for room in ORDER if f"`{room}`" not in text] == []


def test_imports_keep_the_order_and_the_walls(server: list[tuple[str, Path]]) -> None:
    assert {str(path): found for room, path in server if (found := out_of_order(room, path.read_text()))} == {}


def test_no_code_comes_in_with_data(root: Path) -> None:
    code = [path for folder in ("server", "clients", "plugins") for path in (root / folder).rglob("*.py")]
    assert {str(path): found for path in code if (found := unsafe(path.read_text()))} == {}


def test_only_settings_reads_the_environment(root: Path, server: list[tuple[str, Path]]) -> None:
    package = root / "server" / "candelabra"
    found = {
        str(path.relative_to(package)): lines for _, path in server if (lines := reads_environment(path.read_text()))
    }
    assert set(found) == set(ENVIRONMENT), found


def test_client_stands_alone(root: Path) -> None:
    allowed = {"candelabra_client", "grpc", "google", "typing_extensions"}
    wrong = {}
    for path in (root / "clients" / "python" / "candelabra_client").rglob("*.py"):
        tops = {name.partition(".")[0] for _, name in imports(ast.parse(path.read_text()))} - {"<relative>"}
        if foreign := {top for top in tops if top not in allowed and not standard(top)}:
            wrong[str(path)] = sorted(foreign)
    assert wrong == {}, "the client is grpcio and protobuf only"


def test_plugins_see_one_module(root: Path) -> None:
    wrong = {}
    for path in (root / "plugins").glob("*/src/*/**/*.py"):
        names = [name for _, name in imports(ast.parse(path.read_text())) if name.startswith("candelabra.")]
        if deep := [name for name in names if not name.startswith("candelabra.plugin")]:
            wrong[str(path)] = deep
    assert wrong == {}


def standard(top: str) -> bool:
    return top in sys.stdlib_module_names


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("engine", "from candelabra.rpc import doors"),
        ("types", "def late() -> None:\n    import candelabra.app"),
        ("predict", "import grpc"),
        ("rpc", "from torch import nn"),
        ("heads", "from sqlalchemy import select"),
        ("cli", "import torch"),
        ("heads", "from . import store"),
    ],
)
def test_the_check_sees_a_wrong_import(room: str, source: str) -> None:
    assert len(out_of_order(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("rpc", "import grpc\nfrom candelabra.predict import Predictor"),
        ("engine", "import torch\nfrom candelabra import errors\nfrom candelabra.engine.row import Row"),
        ("cli", "from candelabra_client import Client"),
    ],
)
def test_the_check_lets_right_imports_pass(room: str, source: str) -> None:
    assert out_of_order(room, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "eval('1')",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=trusted)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
    ],
)
def test_the_check_sees_unsafe_code(source: str) -> None:
    assert len(unsafe(source)) == 1


def test_the_check_lets_safe_code_pass() -> None:
    assert unsafe("model.eval()\nnp.load(path, allow_pickle=False)\nyaml.safe_load(text)") == []


def test_the_check_sees_the_environment() -> None:
    assert reads_environment("import os\nos.environ['X']") == ["line 2: os.environ"]
    assert reads_environment("from os import getenv")
