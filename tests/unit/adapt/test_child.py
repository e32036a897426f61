"""The training process by itself: its lines, and that nothing else comes among them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(f"{tmp_path / 'a folder with blanks'}\n")
        child.stdin.flush()
        ready, failed = (json.loads(child.stdout.readline()) for _ in range(2))
        child.stdin.close()
        assert child.wait(30) == 0
        assert child.stdout.read() == ""
        story = child.stderr.read()
    assert ready == {"ready": child.pid}
    assert failed["failed"]["reason"] == "TRAINER_ERROR"
    assert "FileNotFoundError" in failed["failed"]["message"]
    assert "a folder with blanks" in story  # the traceback
    assert ("noise of a library" in story) is chatty
