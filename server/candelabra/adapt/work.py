"""A job under way, and where its files lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from candelabra.adapt.reporter import Reporter
from candelabra.plugin import Domain, Task
from candelabra.types import JobInfo


@dataclass(frozen=True, slots=True)
class Work:
    job: JobInfo
    domain: Domain
    task: Task
    folder: Path
    reporter: Reporter
