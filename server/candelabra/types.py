"""The nouns that rooms pass to each other: frozen, without behaviour beyond parsing and printing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Generic, Literal, TypeVar

from candelabra.errors import InvalidName

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?")
NAME_LIMIT = 63
LIVE = "live"

T = TypeVar("T")


class TaskKind(StrEnum):
    """What an answer is: one label, any number of labels, a number, named spans, or a piece of the text."""

    SINGLE_LABEL = "single_label"
    MULTI_LABEL = "multi_label"
    REGRESSION = "regression"
    ENTITIES = "entities"
    ANSWER = "answer"


class Reading(StrEnum):
    """How an input becomes what the encoder reads.

    TEXT: the text alone. JOINT: text and second text as one sequence. SEPARATE: both texts, each on its own.
    QUESTION: question and text as one sequence, in overlapping windows over the text.
    """

    TEXT = "text"
    JOINT = "joint"
    SEPARATE = "separate"
    QUESTION = "question"


class LongText(StrEnum):
    """What is done with a text beyond the encoder's window."""

    TRUNCATE = "truncate"
    WINDOWS = "windows"


class Method(StrEnum):
    """How a head is trained. AUTO races the others that fit the task within a time budget."""

    AUTO = "auto"
    CLOSED_FORM = "closed_form"
    DENSE = "dense"
    PROTOTYPE = "prototype"
    LOGREG = "logreg"
    HYBRID = "hybrid"
    LAYER_MIX = "layer_mix"
    TOP_K = "top_k"
    SEQ_CRF = "seq_crf"
    SPAN = "span"


class JobState(StrEnum):
    """Where a job is. The four last are ends; the only legal moves are in `MOVES`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.SUCCEEDED, JobState.REJECTED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.REJECTED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


def check_name(what: str, name: str) -> str:
    """A name as it may stand in a reference: lower-case letters, digits, `-`, `_`, `.`; at most 63."""
    if len(name) > NAME_LIMIT or not NAME.fullmatch(name):
        raise InvalidName(
            f"The {what} {name[:80]!r} is not a name: use 1 to {NAME_LIMIT} of a-z, 0-9, '-', '_' and '.', "
            "with a letter or digit at both ends.",
            field=what,
        )
    return name


@dataclass(frozen=True, slots=True, order=True)
class OwnedName:
    """`tenant/name`: a head or a dataset of a tenant."""

    tenant: str
    name: str

    @classmethod
    def parse(cls, text: str, what: str = "head") -> OwnedName:
        tenant, slash, name = text.partition("/")
        if not slash:
            raise InvalidName(f"The {what} {text[:80]!r} has no tenant: write it as tenant/name.", field=what)
        return cls(check_name("tenant", tenant), check_name(what, name))

    def __str__(self) -> str:
        return f"{self.tenant}/{self.name}"


@dataclass(frozen=True, slots=True)
class HeadRef:
    """`tenant/name`, `tenant/name@3` or `tenant/name@alias`: what a caller writes to mean a head version."""

    head: OwnedName
    selector: int | str = LIVE

    @classmethod
    @lru_cache(maxsize=16_384)  # the same few references come with every Predict
    def parse(cls, text: str) -> HeadRef:
        head, at, selector = text.partition("@")
        owned = OwnedName.parse(head)
        if not at:
            return cls(owned)
        if selector.isascii() and selector.isdigit():
            if not 1 <= int(selector[:20]) < 2**63:
                raise InvalidName(f"{text[:120]!r} names no version: versions count from 1.", field="version")
            return cls(owned, int(selector))
        return cls(owned, check_alias(selector))

    def __str__(self) -> str:
        return f"{self.head}@{self.selector}"


def check_alias(alias: str) -> str:
    """An alias is a name that is not all digits, so that `@3` can only mean version 3."""
    check_name("alias", alias)
    if alias.isdigit():
        raise InvalidName(f"The alias {alias!r} reads like a version number: use a word.", field="alias")
    return alias


@dataclass(frozen=True, slots=True)
class Input:
    """What a caller asks about. Tasks that need no second text or question leave it unread."""

    text: str
    text_pair: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A named piece of a text: `start` and `end` count code points, `end` is the first behind it."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text. What labels it depends on the task:

    - classification: `labels`, one for single-label tasks, any number for multi-label ones; or `soft`, a weight for
      each label; or `votes`, pairs (labelling function, label) of which the server makes weights. An example with
      none of the three is unlabelled.
    - pair tasks: `text_pair` too
    - regression: `target`
    - entities: `spans`; or `tags`, a BIO tag for each of the words that white space makes of `text`
    - answer: `question`, and `spans` whose label is empty; no span: the text does not answer it
    """

    text: str
    labels: tuple[str, ...] = ()
    text_pair: str = ""
    question: str = ""
    target: float | None = None
    spans: tuple[Span, ...] = ()
    soft: Mapping[str, float] = field(default_factory=dict)
    votes: tuple[tuple[str, str], ...] = ()
    id: str = ""
    tags: tuple[str, ...] = ()

    @property
    def input(self) -> Input:
        return Input(self.text, self.text_pair, self.question)


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """One pooled vector of the encoder: `layer` 0 is the embedding, 1 the first layer, and so on."""

    layer: int
    pooling: Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class BackboneInfo:
    """What everyone may know about the encoder in memory."""

    name: str
    fingerprint: str
    layers: int
    dimension: int
    window: int
    device: str
    precision: str
    engine: str


@dataclass(frozen=True, slots=True)
class LabelScore:
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A head version as the registry knows it. Its weights are in the head store under `digest`."""

    head: OwnedName
    version: int
    digest: str
    backbone: str
    domain: str
    task: str
    kind: TaskKind
    method: str
    labels: tuple[str, ...]
    bytes: int
    created: datetime
    accepted: bool = True
    dataset: str = ""
    dataset_rows: int = 0
    job: str = ""
    report: Mapping[str, object] = field(default_factory=dict)
    # Orders what is known of one head: the registry's revision when it last changed.
    revision: int = field(default=0, compare=False)
    retired: str = ""
    """When and why the version stopped serving; empty while it may serve."""

    @property
    def name(self) -> str:
        return f"{self.head}@{self.version}"


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """A head version before the registry gives it its number. Its weights are in the head store already."""

    head: OwnedName
    digest: str
    backbone: str
    domain: str
    task: str
    kind: TaskKind
    method: str
    labels: tuple[str, ...]
    bytes: int
    accepted: bool = True
    dataset: str = ""
    dataset_rows: int = 0
    job: str = ""
    report: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """A head: its versions' numbers and where its aliases point."""

    head: OwnedName
    domain: str
    task: str
    aliases: Mapping[str, int]
    latest: int
    count: int
    created: datetime
    revision: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """`rows` are there now. `next_position` is behind the last row that ever came: the `dataset_rows` of a job."""

    name: OwnedName
    rows: int
    label_counts: Mapping[str, int]
    created: datetime
    updated: datetime
    next_position: int = 0

    @property
    def lost(self) -> int:
        """Rows that were forgotten."""
        return self.next_position - self.rows


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. `total` is 0 and `seconds_left` None where unknown."""

    phase: str
    step: int = 0
    total: int = 0
    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What was asked for. Written once, when the job is accepted."""

    head: OwnedName
    domain: str
    task: str
    method: Method
    dataset: OwnedName
    dataset_rows: int
    options: Mapping[str, object] = field(default_factory=dict)
    validation: OwnedName | None = None
    alias: str = LIVE
    promote: bool = True
    force: bool = False
    seed: int = 0
    request_id: str = ""
    gate: Mapping[str, float] = field(default_factory=dict)
    """Thresholds of the gate that the caller overrides."""
    strict: bool = False
    label_descriptions: Mapping[str, str] = field(default_factory=dict)
    budget_seconds: float = 0.0
    """What AUTO may spend; 0: the server's setting."""
    self_training: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended without a promoted version."""

    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobInfo:
    id: str
    spec: JobSpec
    state: JobState
    progress: Progress
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    attempt: int = 0
    cancel_requested: bool = False
    version: int | None = None
    digest: str = ""
    report: Mapping[str, object] = field(default_factory=dict)
    failure: Failure | None = None

    @property
    def name(self) -> str:
        return f"{self.spec.head.tenant}/jobs/{self.id}"


@dataclass(frozen=True, slots=True)
class JobEvent:
    sequence: int
    time: datetime
    state: JobState
    progress: Progress
    message: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: Sequence[T]
    next_token: str = ""
