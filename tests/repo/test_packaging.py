"""Installing: every version is pinned, every install uses the pins, and the plugins have one shape."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

OURS = {"candelabra", "candelabra-client", "candelabra-finance", "candelabra-legal", "candelabra-medical"}


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, Requirement]:
    lines = (root / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in found}


@pytest.fixture(scope="module")
def projects(root: Path) -> dict[str, dict]:
    paths = [
        root / "pyproject.toml",
        root / "clients" / "python" / "pyproject.toml",
        *root.glob("plugins/*/pyproject.toml"),
    ]
    return {str(path.parent.relative_to(root)): tomllib.loads(path.read_text()) for path in paths}


def wanted(project: dict) -> list[Requirement]:
    """Everything that a pyproject.toml names, of all extras."""
    extras = project["project"].get("optional-dependencies", {}).values()
    lines = [*project["project"].get("dependencies", []), *(line for extra in extras for line in extra)]
    return [Requirement(line) for line in (*lines, *project["build-system"]["requires"])]


def unpinned(project: dict, pins: dict[str, Requirement]) -> list[str]:
    """Requirements that have no pin, or one that does not satisfy them."""
    found = []
    for requirement in wanted(project):
        name = canonicalize_name(requirement.name)
        if name in OURS:
            continue
        version = next(iter(pins[name].specifier)).version if name in pins else None
        if version is None or not requirement.specifier.contains(version):
            found.append(str(requirement))
    return found


def test_everything_that_is_named_is_pinned(projects: dict[str, dict], pins: dict[str, Requirement]) -> None:
    assert {name: found for name, project in projects.items() if (found := unpinned(project, pins))} == {}


def test_the_check_sees_what_is_not_pinned(pins: dict[str, Requirement]) -> None:
    project = {"project": {"dependencies": ["torch>=99", "leftpad"]}, "build-system": {"requires": []}}
    assert unpinned(project, pins) == ["torch>=99", "leftpad"]


def test_pins_are_exact_and_public(pins: dict[str, Requirement]) -> None:
    for name, pin in pins.items():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", name
        assert Version(specifier.version).local is None, f"{name}: a local version is on no index"
        assert pin.url is None
    assert str(pins["torch"].specifier) == "==2.13.0"


def test_installed_is_what_is_pinned(pins: dict[str, Requirement]) -> None:
    """Numbers of benchmarks and tests are those of the pinned versions."""
    environment = default_environment()
    for distribution in distributions():
        name = canonicalize_name(distribution.name)
        pin = pins.get(name)
        if pin is None or name in ("pip", "setuptools") or (pin.marker and not pin.marker.evaluate(environment)):
            continue
        assert pin.specifier.contains(Version(distribution.version).public), f"{name} {distribution.version}: {pin}"


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile"])
def test_every_install_uses_the_pins(root: Path, name: str) -> None:
    text = (root / name).read_text().replace("\\\n", " ")
    installs = [
        line
        for line in text.splitlines()
        if re.search(r"\binstall\b.*(-e |--quiet|setuptools)", line) and "pip" in line
    ]
    assert installs
    assert [line for line in installs if not re.search(r"(-c|--constraint) \S*(constraints|torch)\.txt", line)] == []


def test_names_and_python_versions_agree(projects: dict[str, dict]) -> None:
    assert {project["project"]["name"] for project in projects.values()} == OURS
    for folder, project in projects.items():
        assert project["project"]["license"] == "Apache-2.0", folder
        assert project["project"]["requires-python"].startswith(">=3.11"), folder


def test_folders_of_plugins_are_named_as_their_distributions(projects: dict[str, dict]) -> None:
    for folder, project in projects.items():
        if folder.startswith("plugins/"):
            assert folder == f"plugins/{project['project']['name']}"


def shape(folder: Path, word: str) -> set[str]:
    """What lies in a plugin's folder, with the plugin's own word taken out; its private modules do not count."""
    kept = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = {str(path).replace(word, "WORD") for path in kept if not {"__pycache__"} & set(path.parts)}
    names = {name for name in names if ".egg-info" not in name and "build/" not in name}
    private = re.compile(r"src/candelabra_WORD/(?!__init__\.py|domain\.py|py\.typed)|tests/(?!test_WORD_domain\.py)")
    return {name for name in names if not private.match(name)}


def test_plugins_have_one_shape(root: Path, projects: dict[str, dict]) -> None:
    shapes = {}
    for folder, project in projects.items():
        if folder.startswith("plugins/"):
            word = project["project"]["name"].removeprefix("candelabra-")
            shapes[word] = shape(root / folder, word)
            points = project["project"]["entry-points"]["candelabra.domains"]
            assert points == {word: f"candelabra_{word}:{word.capitalize()}Domain"}
    assert set(shapes) == {"finance", "medical", "legal"}
    assert shapes["finance"] == shapes["medical"] == shapes["legal"]
    assert "tests/test_WORD_domain.py" in shapes["finance"]


def test_the_server_ships_its_migrations_and_types(projects: dict[str, dict], root: Path) -> None:
    globs = projects["."]["tool"]["setuptools"]["package-data"]["candelabra"]
    package = root / "server" / "candelabra"
    shipped = {path for pattern in globs for path in package.glob(pattern)}
    assert package / "py.typed" in shipped
    assert [
        path for path in (package / "registry" / "migrations" / "versions").glob("0*.py") if path not in shipped
    ] == []
