"""A client made by someone else's tools, Node's grpc-js from the protos alone, adapts and predicts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example with its packages, in a folder of its own."""
    if shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("npm is missing, and CI must run this test: install Node.")
        pytest.skip("npm is not installed, so the Node client cannot be run here")
    folder = tmp_path / "node"
    shutil.copytree(ROOT / "clients" / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=folder,
        check=True,
        timeout=180,
        capture_output=True,
    )
    return folder


def test_node_adapts_and_predicts(example: Path, server: Any) -> None:
    done = subprocess.run(
        ["node", "example.js", server.address, "node/tickets"],
        cwd=example,
        env={**os.environ, "CANDELABRA_PROTOS": str(ROOT / "protos")},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["job"]["state"] == "SUCCEEDED"
    assert [found["label"] for found in said["predictions"]] == ["delivery", "billing"]
    assert {found["head"] for found in said["predictions"]} == {said["job"]["head_version"]}
    assert said["digest"]
    assert said["backbone"]
