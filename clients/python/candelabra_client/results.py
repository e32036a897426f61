"""What calls return: frozen dataclasses with the names of the protos' fields.

Enum values are lower-case words ("succeeded", "multi_label"); a word that this version does not know can come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import overload

from candelabra_client.errors import CandelabraError, JobFailed
from candelabra_client.read import made_from
from candelabra_client.reports import Lineage, Report
from candelabra_client.v1 import adaptation_pb2, common_pb2, datasets_pb2, domains_pb2, heads_pb2, inference_pb2

ENDED = frozenset({"succeeded", "rejected", "failed", "cancelled"})


@made_from(inference_pb2.Timings)
@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that a request spent in each stage."""

    tokenize: float = 0.0
    queue: float = 0.0
    encode: float = 0.0
    head: float = 0.0
    total: float = 0.0


@made_from(inference_pb2.ServedHead)
@dataclass(frozen=True, slots=True)
class ServedHead:
    """The head version behind an answer: "tenant/name@3" and the digest of its content."""

    name: str
    digest: str
    domain: str = ""
    task: str = ""


@made_from(inference_pb2.ScoredSpan)
@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A piece of the text: code points from `start` up to `end`."""

    start: int
    end: int
    label: str
    probability: float
    text: str


@made_from(inference_pb2.Interval)
@dataclass(frozen=True, slots=True)
class Interval:
    """Holds the true number with the probability `coverage`."""

    low: float
    high: float
    coverage: float


@made_from(inference_pb2.PredictionSet)
@dataclass(frozen=True, slots=True)
class PredictionSet:
    """Holds the true label, or all of them, with the probability `coverage`."""

    labels: tuple[str, ...]
    coverage: float


@made_from(inference_pb2.Outside)
@dataclass(frozen=True, slots=True)
class Outside:
    """`score`: share of the training texts that are nearer to their centre; `flag`: beyond nearly all of them."""

    score: float
    flag: bool


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one head says about one text."""

    head: str
    """The version that answered: "tenant/name@3"."""
    digest: str
    labels: tuple[str, ...]
    """The decision: exactly one for a single-label head, any number for a multi-label one."""
    probabilities: tuple[float, ...]
    """Calibrated, one for each of `labels`."""
    scores: Mapping[str, float]
    """Label -> calibrated probability, the most probable first."""
    values: Mapping[str, float] = field(default_factory=dict)
    """What the domain adds, for example {"sentiment": -0.62}."""
    truncated: bool = False
    windows: int = 1
    tokens: int = 0
    spans: tuple[ScoredSpan, ...] = ()
    """Entities, in the order of the text."""
    answers: tuple[ScoredSpan, ...] = ()
    """The best answers to the question, the most probable first."""
    no_answer: float | None = None
    """The probability that the text does not answer the question."""
    value: float | None = None
    """The number that a regression head gives."""
    interval: Interval | None = None
    prediction_set: PredictionSet | None = None
    outside: Outside | None = None
    abstained: str = ""
    """Why the head abstains: "below_threshold" or "outside"; empty where it decides."""

    @property
    def label(self) -> str | None:
        """The first label of the decision; None where a multi-label head chose none, or where the head abstains."""
        return self.labels[0] if self.labels else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What every asked head says about one text, in the order of the asked heads."""

    predictions: tuple[Prediction, ...]
    asked: tuple[str, ...] = ()

    def __getitem__(self, head: int | str) -> Prediction:
        """By position, or by the reference that was asked for ("tenant/name", "tenant/name@canary")."""
        if isinstance(head, int):
            return self.predictions[head]
        try:
            return self.predictions[self.asked.index(head)]
        except ValueError:
            raise KeyError(f"{head!r} was not asked; asked were {', '.join(self.asked)}.") from None

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __len__(self) -> int:
        return len(self.predictions)

    @property
    def label(self) -> str | None:
        """The label of the first head: all there is to say when one single-label head was asked."""
        return self.predictions[0].label


@dataclass(frozen=True, slots=True)
class Answers(Sequence[Answer]):
    """One answer a text, in the order of the texts."""

    answers: tuple[Answer, ...]
    heads: tuple[ServedHead, ...] = ()
    backbone: str = ""
    timings: Timings = Timings()
    id: str = ""
    error: CandelabraError | None = None
    """`predict_stream` only: why this request has no answer."""

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Answer, ...]: ...
    def __getitem__(self, index: int | slice) -> Answer | tuple[Answer, ...]:
        if self.error is not None:
            raise self.error
        return self.answers[index]

    def __len__(self) -> int:
        return len(self.answers)


@made_from(inference_pb2.Embedding)
@dataclass(frozen=True, slots=True)
class Embedding:
    values: tuple[float, ...]
    truncated: bool = False
    windows: int = 1
    tokens: int = 0


@made_from(inference_pb2.EmbedResponse)
@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector a text, in the order of the texts."""

    embeddings: tuple[Embedding, ...]
    backbone: str = ""
    timings: Timings | None = None


@made_from(inference_pb2.Backbone)
@dataclass(frozen=True, slots=True)
class Backbone:
    name: str
    fingerprint: str
    layers: int
    dimension: int
    window: int
    device: str
    precision: str
    engine: str


@made_from(heads_pb2.Head)
@dataclass(frozen=True, slots=True)
class Head:
    name: str
    domain: str
    task: str
    aliases: Mapping[str, int]
    latest_version: int
    version_count: int
    create_time: datetime | None = None


@made_from(heads_pb2.HeadVersion)
@dataclass(frozen=True, slots=True)
class HeadVersion:
    name: str
    version: int
    digest: str
    backbone: str
    domain: str
    task: str
    kind: str
    method: str
    labels: tuple[str, ...]
    bytes: int
    aliases: tuple[str, ...]
    lineage: Lineage | None
    report: Report | None
    accepted: bool
    retired: str = ""
    """Why it may not serve any more; else empty."""


@made_from(heads_pb2.Drift)
@dataclass(frozen=True, slots=True)
class Drift:
    """How recent traffic differs from the training texts."""

    head: str
    rows: int
    statistic: float
    p_value: float
    label_shift: float
    drifted: bool


@made_from(adaptation_pb2.Progress)
@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is; `total` is 0 and `seconds_left` None where unknown."""

    phase: str = ""
    step: int = 0
    total: int = 0
    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds_left: float | None = None


@made_from(adaptation_pb2.JobError)
@dataclass(frozen=True, slots=True)
class JobError:
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@made_from(adaptation_pb2.AdaptJob)
@dataclass(frozen=True, slots=True)
class Job:
    """One `adapt`, as the server knows it."""

    name: str
    head: str
    domain: str
    task: str
    method: str
    dataset: str
    dataset_rows: int
    state: str
    """"queued", "running", "succeeded", "rejected", "failed" or "cancelled"."""
    progress: Progress | None
    create_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    head_version: str
    head_digest: str
    report: Report | None
    error: JobError | None
    request_id: str
    attempt: int
    cancel_requested: bool

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def succeeded(self) -> bool:
        return self.state == "succeeded"

    def raise_for_state(self) -> Job:
        """This job, or JobFailed if it ended without a promoted version."""
        if not self.ended or self.succeeded:
            return self
        why = self.error or JobError(self.state.upper(), f"The job {self.name} ended as {self.state}.")
        raise JobFailed(why.message, reason=why.reason, metadata=why.metadata)


@made_from(adaptation_pb2.JobEvent)
@dataclass(frozen=True, slots=True)
class JobEvent:
    sequence: int
    time: datetime | None
    state: str
    progress: Progress | None
    message: str
    job: Job | None


@made_from(datasets_pb2.Dataset)
@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    rows: int
    label_counts: Mapping[str, int]
    create_time: datetime | None = None
    update_time: datetime | None = None


@made_from(datasets_pb2.AppendExamplesResponse)
@dataclass(frozen=True, slots=True)
class Appended:
    dataset: Dataset
    appended: int


@made_from(common_pb2.GateRules)
@dataclass(frozen=True, slots=True)
class GateRules:
    """Thresholds of a task's gate."""

    margin: float | None
    recall_level: float | None
    max_calibration_error: float | None
    coverage: float | None


@made_from(domains_pb2.DomainTask)
@dataclass(frozen=True, slots=True)
class DomainTask:
    name: str
    kind: str
    labels: tuple[str, ...]
    metric: str
    long_text: str
    description: str
    gate: GateRules | None = None
    pair: bool = False
    ordered: bool = False
    abstain_below: float = 0.0
    abstain_outside: bool = False


@made_from(domains_pb2.Domain)
@dataclass(frozen=True, slots=True)
class Domain:
    name: str
    distribution: str
    version: str
    description: str
    tasks: tuple[DomainTask, ...]
