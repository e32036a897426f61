"""The training process by itself: its lines, and that nothing else comes among them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from candelabra.adapt import child
from candelabra.types import Progress

CHILD = [sys.executable, "-m", "candelabra.adapt.child"]


@pytest.mark.parametrize("chatty", [False, True])
def test_every_line_of_its_output_is_json(tmp_path: Path, chatty: bool) -> None:
    """Even where a library prints: that goes to the log."""
    command = CHILD
    if chatty:
        noise = (
            "import sys\n"
            "from candelabra.adapt import child\n"
            "say = child._train\n"
            "def noisy(folder, out):\n"
            "    print('noise of a library', flush=True)\n"
            "    say(folder, out)\n"
            "child._train = noisy\n"
            "child.main()\n"
        )
        command = [sys.executable, "-c", noise]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{tmp_path / 'a folder with blanks'}\n")
        process.stdin.flush()
        ready, failed = (json.loads(process.stdout.readline()) for _ in range(2))
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stdout.read() == ""
        story = process.stderr.read()
    assert ready == {"ready": process.pid}
    assert failed["failed"]["reason"] == "TRAINER_ERROR"
    assert "FileNotFoundError" in failed["failed"]["message"]
    assert "a folder with blanks" in story  # the traceback
    assert ("noise of a library" in story) is chatty


def test_of_much_progress_the_first_of_each_phase_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "TELL_SECONDS", 60)
    out = io.StringIO()
    tell = child._teller(out)
    for phase in ("train", "baselines", "train"):
        for step in range(100):
            tell(Progress(phase, step, 100))
    told = [json.loads(line)["progress"] for line in out.getvalue().splitlines()]
    assert [(one["phase"], one["step"]) for one in told] == [("train", 0), ("baselines", 0), ("train", 0)]
    monkeypatch.setattr(child, "TELL_SECONDS", 0)
    tell(Progress("train", 100, 100))
    assert '"step": 100' in out.getvalue()
