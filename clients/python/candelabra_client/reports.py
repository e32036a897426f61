"""The evidence about one training, as it comes with a job and with a head version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from candelabra_client.read import made_from
from candelabra_client.v1 import common_pb2


@made_from(common_pb2.Score)
@dataclass(frozen=True, slots=True)
class Score:
    """A score with its 95 % interval."""

    metric: str
    value: float
    low: float
    high: float


@made_from(common_pb2.LabelReport)
@dataclass(frozen=True, slots=True)
class LabelReport:
    label: str
    precision: float
    recall: float
    f1: float
    recall_low: float
    recall_high: float
    support: int


@made_from(common_pb2.BaselineReport)
@dataclass(frozen=True, slots=True)
class BaselineReport:
    """A simple method on the same rows; `difference` is candidate minus baseline."""

    name: str
    score: Score | None
    difference: Score | None


@made_from(common_pb2.DataProblem)
@dataclass(frozen=True, slots=True)
class DataProblem:
    """Rows that were left out, and why; at most 20 of them are named."""

    reason: str
    message: str
    rows: tuple[int, ...]


@made_from(common_pb2.DataReport)
@dataclass(frozen=True, slots=True)
class DataReport:
    examples: int
    duplicates: int
    truncated: int
    windowed: int
    tokens_median: float
    tokens_p95: float
    label_counts: Mapping[str, int]
    dropped: Mapping[str, int]
    problems: tuple[DataProblem, ...] = ()


@made_from(common_pb2.ConfusionMatrix)
@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Rows are true labels, columns predicted ones."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def rows(self) -> tuple[tuple[int, ...], ...]:
        width = len(self.labels)
        return tuple(self.counts[start : start + width] for start in range(0, len(self.counts), width or 1))


@made_from(common_pb2.GateCheck)
@dataclass(frozen=True, slots=True)
class GateCheck:
    name: str
    passed: bool
    detail: str


@made_from(common_pb2.GateReport)
@dataclass(frozen=True, slots=True)
class GateReport:
    accepted: bool
    reason: str
    checks: tuple[GateCheck, ...]
    forced: bool


@made_from(common_pb2.Report)
@dataclass(frozen=True, slots=True)
class Report:
    data: DataReport | None
    metric: str
    scores: tuple[Score, ...]
    labels: tuple[LabelReport, ...]
    confusion: ConfusionMatrix | None
    baselines: tuple[BaselineReport, ...]
    gate: GateReport | None
    chosen: Mapping[str, str]
    seconds: Mapping[str, float]
    evaluation: str
    calibration_error: float
    scored_rows: int
    coverage: float | None = None
    """Share of scored rows inside their 90 % prediction sets; None where not measured."""

    def score(self, metric: str = "") -> Score | None:
        """The overall score of this metric; without a name the task's own."""
        wanted = metric or self.metric
        return next((score for score in self.scores if score.metric == wanted), None)


@made_from(common_pb2.Lineage)
@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a head came from: the first `dataset_rows` rows of a dataset, in a job."""

    dataset: str
    dataset_rows: int
    job: str
    create_time: datetime | None = None
