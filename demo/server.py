"""The server of the demo: a process of its own on free ports, with a data folder that goes when it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from candelabra_client import CandelabraError, Client

START_SECONDS = 600.0  # the first start may fetch the backbone
STOP_SECONDS = 60.0
_SAMPLE = re.compile(r"(?P<name>candelabra_\w+)(?P<labels>\{.*\})? (?P<value>\S+)")
# The metrics are on this machine, whatever proxy the environment names.
_OPEN = build_opener(ProxyHandler({})).open


class Failed(Exception):
    """Something did not go as it should."""


@dataclass(frozen=True, slots=True)
class Server:
    process: subprocess.Popen[bytes]
    address: str
    metrics_port: int

    def metrics(self) -> Mapping[str, float]:
        """Every sample of the server's own metrics, by name and labels."""
        with _OPEN(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        found = [match for line in lines if (match := _SAMPLE.fullmatch(line))]
        return {match["name"] + (match["labels"] or ""): float(match["value"]) for match in found}

    def terminate(self) -> None:
        """Asks it to drain."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running() -> Iterator[Server]:
    """A serving server; it is killed if the block ends before it does."""
    with tempfile.TemporaryDirectory(prefix="candelabra-demo-") as folder:
        log = Path(folder) / "server.log"
        ports = Path(folder) / "ports.json"
        command = [
            sys.executable, "-m", "candelabra", "serve", "--port", "0", "--metrics-port", "0",
            "--port-file", str(ports), "--data-dir", str(Path(folder) / "data"),
        ]  # fmt: skip
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield _ready(process, ports, log)
        except Exception:
            print(_tail(log), file=sys.stderr)
            raise
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], ports: Path, log: Path) -> Server:
    end = time.monotonic() + START_SECONDS
    while not ports.exists():
        _still_starting(process, end)
    said = json.loads(ports.read_text())
    server = Server(process, f"127.0.0.1:{said['port']}", said["metrics_port"])
    with Client(server.address) as client:
        while not _serving(client):
            _still_starting(process, end)
    return server


def _serving(client: Client) -> bool:
    try:
        return client.health(timeout=1).upper() == "SERVING"
    except CandelabraError:
        return False


def _still_starting(process: subprocess.Popen[bytes], end: float) -> None:
    if process.poll() is not None:
        raise Failed(f"the server ended with exit code {process.returncode} before it served; its log is above.")
    if time.monotonic() > end:
        raise Failed(f"the server did not serve within {START_SECONDS:.0f} s; its log is above.")
    time.sleep(0.1)


def _tail(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
