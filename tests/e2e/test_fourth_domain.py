"""A fourth domain: copy one plugin's folder, rename three things, install it, and a server serves it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from candelabra.testing.server import Server
from candelabra_client import Client

EXAMPLES = [
    ("The hen house needs a new roof before winter.", "buildings"),
    ("Rain came through the barn's north wall again.", "buildings"),
    ("We poured the floor of the machine shed on Monday.", "buildings"),
    ("The hinges of the stable door have rusted through.", "buildings"),
    ("A storm took four tiles off the grain store.", "buildings"),
    ("The gutter above the dairy is blocked with leaves.", "buildings"),
    ("Two ewes are limping and were moved to the near paddock.", "animals"),
    ("The vet wormed all the calves this morning.", "animals"),
    ("Seven piglets were born overnight and are feeding well.", "animals"),
    ("Our oldest mare has lost weight since the spring.", "animals"),
    ("The goats escaped again and ate the neighbour's roses.", "animals"),
    ("Milk yield of the brown cows fell by a tenth.", "animals"),
]


def rename_three_things(source: Path, copy: Path) -> None:
    """Distribution and package `medical` -> `farming`, class `MedicalDomain` -> `FarmingDomain` with its name."""
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    (copy / "src" / "candelabra_medical").rename(copy / "src" / "candelabra_farming")
    changes = [
        ("candelabra-medical", "candelabra-farming"),
        ("candelabra_medical", "candelabra_farming"),
        ("MedicalDomain", "FarmingDomain"),
        ('name = "medical"', 'name = "farming"'),
        ("\nmedical = ", "\nfarming = "),
    ]
    for path in [copy / "pyproject.toml", *(copy / "src").rglob("*.py")]:
        text = path.read_text("utf-8")
        for old, new in changes:
            text = text.replace(old, new)
        path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def farming(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables of a process that has the fourth domain installed."""
    root = Path(__file__).resolve().parents[2]
    copy = tmp_path_factory.mktemp("fourth") / "candelabra-farming"
    rename_three_things(root / "plugins" / "candelabra-medical", copy)
    site = copy.parent / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, *offline, "--target", site, copy], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_it_is_listed_with_its_distribution(farming: dict[str, str]) -> None:
    command = [sys.executable, "-m", "candelabra", "domains", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **farming})
    assert done.returncode == 0, done.stderr
    listed = {domain["name"]: domain for domain in json.loads(done.stdout)}
    assert listed["farming"]["distribution"] == "candelabra-farming"
    assert listed["farming"]["version"] == "0.1.0"


def test_a_server_adapts_and_predicts_in_it(farming: dict[str, str], start: Callable[..., Server]) -> None:
    server = start(farming)
    with Client(server.address) as client:
        assert {"farming", "finance", "general", "legal", "medical"} <= {one.name for one in client.domains.list()}
        job = client.adapt("farm/notes", EXAMPLES, domain="farming", task="classification", wait=True, timeout=120).job
        assert job.raise_for_state().domain == "farming"
        [answer] = client.predict("The lambs were shorn and counted.", "farm/notes")
        assert answer.label == "animals"
        assert answer[0].head == "farm/notes@1"
    assert server.stop() == 0
