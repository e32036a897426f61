"""The process that tries backbones: one question in, lines out, and nothing left when its input closes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np

from candelabra.adapt.survey import Question, _columns
from candelabra.types import TaskKind

QUESTION = Question(
    texts=["The lamp is on.", "The lamp is off."],
    pairs=[],
    labels=["on", "off"],
    targets=[0, 1],
    kind="single_label",
    metric="accuracy",
    long_text="truncate",
    backbones=["no-such-backbone"],
    cache="/nonexistent",
    device="cpu",
    threads=1,
)


def test_a_backbone_that_is_not_there_is_told_and_the_process_ends() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "candelabra.adapt.survey"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(asdict(QUESTION)).encode() + b"\n")
    child.stdin.flush()
    lines = [json.loads(line) for line in child.stdout]
    child.stdin.close()
    child.stdout.close()
    assert lines[0]["failed"]["backbone"] == "no-such-backbone"
    assert lines[0]["failed"]["reason"] == "UNKNOWN_BACKBONE"
    assert lines[-1] == {"done": True}
    assert child.wait(20) == 0


def test_what_is_regressed_on_has_a_column_a_label() -> None:
    assert _columns(np.array([0, 1]), 2, TaskKind.SINGLE_LABEL).tolist() == [[1, 0], [0, 1]]
    assert _columns(np.array([[1, 1], [0, 1]]), 2, TaskKind.MULTI_LABEL).tolist() == [[1, 1], [0, 1]]
    assert _columns(np.array([0.5, 2]), 0, TaskKind.REGRESSION).tolist() == [[0.5], [2]]
