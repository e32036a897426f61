"""The generated code in the repository is what the protos give, and both copies live in one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generated_code_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "protos" / "generate.py", "--check"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr


def test_server_and_client_code_can_be_imported_together() -> None:
    from candelabra.v1 import adaptation_pb2 as ours
    from candelabra_client.v1 import adaptation_pb2 as theirs

    sent = theirs.AdaptJob(name="acme/jobs/1", state=theirs.RUNNING)
    received = ours.AdaptJob.FromString(sent.SerializeToString())
    assert (received.name, received.state) == (sent.name, ours.RUNNING)
