"""A real server in a process of its own, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from candelabra_client import CandelabraError, Client

START_SECONDS = 120.0


@dataclass(slots=True)
class Server:
    """A server process; leaving its `with` block stops it. After `kill` or `stop`, `start` starts it again."""

    data: Path
    settings: Mapping[str, object]
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    metrics_port: int = 0
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.data / "server.log"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    def start(self, *, wait: bool = True) -> Server:
        """Starts the process; with `wait`, returns once it answers SERVING."""
        port_file = self.data / "ports.json"
        port_file.unlink(missing_ok=True)
        flags = {"port": self.port, "metrics_port": 0, "data_dir": self.data, "port_file": port_file, **self.settings}
        command = [sys.executable, "-m", "candelabra", "serve"]
        for name, value in flags.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env={**os.environ, **self.env}, stdout=log, stderr=log)
        if wait:
            self.wait(port_file)
        return self

    def wait(self, port_file: Path | None = None, seconds: float = START_SECONDS) -> None:
        end = time.monotonic() + seconds
        port_file = port_file or self.data / "ports.json"
        while not port_file.exists():
            self._check_alive(end)
        ports = json.loads(port_file.read_text("ascii"))
        self.port, self.metrics_port = ports["port"], ports["metrics_port"]
        with Client(self.address) as client:
            while True:
                try:
                    if client.health(timeout=1) == "serving":
                        return
                except CandelabraError:
                    pass
                self._check_alive(end)

    def _check_alive(self, end: float) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"The server ended with {self.process.returncode}:\n{self.tail()}")
        if time.monotonic() > end:
            raise TimeoutError(f"The server is not serving:\n{self.tail()}")
        time.sleep(0.02)

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def kill(self) -> None:
        """SIGKILL: what a crash or the system's memory killer does."""
        self._end(signal.SIGKILL)

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM: drains; the exit code."""
        return self._end(signal.SIGTERM, seconds)

    def _end(self, number: signal.Signals, seconds: float = 60.0) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.stop()


def start_server(env: Mapping[str, str] | None = None, data: Path | None = None, **settings: object) -> Server:
    """Starts `candelabra serve` on free ports with these settings; its data folder is new unless `data` is given."""
    folder = data or Path(tempfile.mkdtemp(prefix="candelabra-"))
    folder.mkdir(parents=True, exist_ok=True)
    return Server(folder, settings, env or {}).start()
