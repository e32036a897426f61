"""What comes of forgetting, of audits and of the choice of a backbone: the results of calls that guard quality."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from candelabra_client.read import made_from
from candelabra_client.reports import Score
from candelabra_client.results import Dataset
from candelabra_client.v1 import adaptation_pb2, datasets_pb2


@made_from(datasets_pb2.Certificate)
@dataclass(frozen=True, slots=True)
class Certificate:
    """Proof of what was forgotten; it repeats no text."""

    time: datetime | None
    dataset: str
    rows_before: int
    rows_after: int
    digest_before: str
    digest_after: str
    residual: float
    affected_versions: tuple[str, ...]
    retrained_versions: tuple[str, ...]
    recomputed: tuple[str, ...]
    features_dropped: int


@made_from(datasets_pb2.ForgetResponse)
@dataclass(frozen=True, slots=True)
class Forgotten:
    """`jobs` train the affected heads again; wait for them to know that nothing old serves."""

    dataset: Dataset
    forgotten: int
    jobs: tuple[str, ...]
    certificate: Certificate | None


@made_from(datasets_pb2.Suspect)
@dataclass(frozen=True, slots=True)
class Suspect:
    position: int
    id: str
    given: str
    suggested: str
    score: float


@made_from(datasets_pb2.Duplicate)
@dataclass(frozen=True, slots=True)
class Duplicate:
    position: int
    id: str
    of_position: int
    of_id: str
    similarity: float
    conflicting: bool


@made_from(datasets_pb2.AuditResponse)
@dataclass(frozen=True, slots=True)
class Audit:
    """The most suspicious first; `noise` is the share of examples that seem mislabelled."""

    suspects: tuple[Suspect, ...]
    duplicates: tuple[Duplicate, ...]
    noise: float
    examined: int


@made_from(adaptation_pb2.BackboneScore)
@dataclass(frozen=True, slots=True)
class BackboneScore:
    name: str
    fingerprint: str
    score: Score | None
    log_me: float
    h_score: float
    seconds_per_1k: float
    regret: Score | None


@made_from(adaptation_pb2.Advice)
@dataclass(frozen=True, slots=True)
class Advice:
    """The best backbone first, and in words which to use and by how much it matters."""

    backbones: tuple[BackboneScore, ...]
    recommendation: str
