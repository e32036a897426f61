"""What can go wrong. Each leaf is a reason and a sentence; the wire code is chosen in rpc/status.py.

Error
├── Invalid                the request can never succeed as it is
│   ├── InvalidName, InvalidText, InvalidUtf8, MalformedMessage, InvalidArgument
│   ├── TooFewLabels, LabelNotInDomain, NoExamples, AllDuplicates, DuplicateId, BadExamples
│   ├── UnknownDomain, UnknownTask, UnknownBackbone, CorruptArchive, InvalidPageToken
├── OverLimit              a setting's limit is crossed by the request itself
│   └── LimitExceeded, MessageTooLarge
├── NotFound
│   ├── HeadNotFound, VersionNotFound, AliasNotFound, DatasetNotFound, JobNotFound, DomainNotFound
├── AlreadyExists
│   └── RequestIdReused
├── Precondition           the state of the server forbids it
│   ├── WrongBackbone, HeadInUse, NoEarlierVersion, AliasMoved, HeadMismatch, NotPromotable, BadPlugin,
│       VersionRetired
├── Overloaded             come back a little later
│   └── QueueFull, Draining, Starting, TooManyJobs
├── Expired                the caller's deadline passed
│   └── DeadlinePassed
├── Cancelled
├── DataLoss
│   └── CorruptHead, BackboneCorrupt
├── Internal               a bug or a broken machine; told to the caller in a neutral sentence
│   ├── HeadUnsound, EngineFailed
└── TrainingFailed         reasons that end a job as FAILED
    └── TrainerCrashed, TrainerTimedOut, TrainerError, JobAbandoned, BackboneChanged
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """Base of everything this project raises on purpose.

    `reason` is machine-readable (UPPER_SNAKE_CASE, at most 63 characters); `metadata` names the place.
    The message is one sentence that says what is wrong and what to do.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = {key: str(value) for key, value in metadata.items()}


class Invalid(Error):
    reason = "INVALID"


class InvalidArgument(Invalid):
    reason = "INVALID_ARGUMENT"


class InvalidName(Invalid):
    reason = "INVALID_NAME"


class InvalidText(Invalid):
    reason = "INVALID_TEXT"


class InvalidUtf8(Invalid):
    reason = "INVALID_UTF8"


class MalformedMessage(Invalid):
    reason = "MALFORMED_MESSAGE"


class InvalidPageToken(Invalid):
    reason = "INVALID_PAGE_TOKEN"


class NoExamples(Invalid):
    reason = "NO_EXAMPLES"


class TooFewLabels(Invalid):
    reason = "TOO_FEW_LABELS"


class AllDuplicates(Invalid):
    reason = "ALL_DUPLICATES"


class LabelNotInDomain(Invalid):
    reason = "LABEL_NOT_IN_DOMAIN"


class UnknownDomain(Invalid):
    reason = "UNKNOWN_DOMAIN"


class UnknownTask(Invalid):
    reason = "UNKNOWN_TASK"


class UnknownBackbone(Invalid):
    reason = "UNKNOWN_BACKBONE"


class CorruptArchive(Invalid):
    reason = "CORRUPT_ARCHIVE"


class OverLimit(Error):
    reason = "OVER_LIMIT"


class LimitExceeded(OverLimit):
    """A setting's limit is crossed. Metadata: `limit` (the setting's name), `maximum`, `actual`."""

    reason = "LIMIT_EXCEEDED"


class MessageTooLarge(OverLimit):
    reason = "MESSAGE_TOO_LARGE"


class NotFound(Error):
    reason = "NOT_FOUND"


class HeadNotFound(NotFound):
    reason = "HEAD_NOT_FOUND"


class VersionNotFound(NotFound):
    reason = "VERSION_NOT_FOUND"


class AliasNotFound(NotFound):
    reason = "ALIAS_NOT_FOUND"


class DatasetNotFound(NotFound):
    reason = "DATASET_NOT_FOUND"


class JobNotFound(NotFound):
    reason = "JOB_NOT_FOUND"


class DomainNotFound(NotFound):
    reason = "DOMAIN_NOT_FOUND"


class AlreadyExists(Error):
    reason = "ALREADY_EXISTS"


class RequestIdReused(AlreadyExists):
    reason = "REQUEST_ID_REUSED"


class Precondition(Error):
    reason = "FAILED_PRECONDITION"


class WrongBackbone(Precondition):
    reason = "WRONG_BACKBONE"


class HeadInUse(Precondition):
    reason = "HEAD_IN_USE"


class NoEarlierVersion(Precondition):
    reason = "NO_EARLIER_VERSION"


class AliasMoved(Precondition):
    reason = "ALIAS_MOVED"


class HeadMismatch(Precondition):
    """The head exists with another domain or task than the one asked for."""

    reason = "HEAD_MISMATCH"


class NotPromotable(Precondition):
    reason = "NOT_PROMOTABLE"


class BadPlugin(Precondition):
    """An installed domain cannot serve; the server does not start. Metadata: `plugin`, `distribution`, `version`."""

    reason = "BAD_PLUGIN"


class DatasetInUse(Precondition):
    """A job that has not ended still needs the dataset."""

    reason = "DATASET_IN_USE"


class JobTakenOver(Precondition):
    """A worker's lease on a job ran out and the job is not its own any more: it must stop and leave no trace."""

    reason = "JOB_TAKEN_OVER"


class BackboneUnavailable(Precondition):
    reason = "BACKBONE_UNAVAILABLE"


class Overloaded(Error):
    """Nothing is wrong with the request; metadata may carry `retry_after` in seconds."""

    reason = "OVERLOADED"


class QueueFull(Overloaded):
    reason = "QUEUE_FULL"


class TooManyJobs(Overloaded):
    reason = "TOO_MANY_JOBS"


class Starting(Overloaded):
    reason = "STARTING"


class Draining(Overloaded):
    reason = "DRAINING"


class Expired(Error):
    reason = "EXPIRED"


class DeadlinePassed(Expired):
    reason = "DEADLINE_PASSED"


class Cancelled(Error):
    reason = "CANCELLED"


class DataLoss(Error):
    reason = "DATA_LOSS"


class CorruptHead(DataLoss):
    reason = "CORRUPT_HEAD"


class BackboneCorrupt(DataLoss):
    reason = "BACKBONE_CORRUPT"


class Internal(Error):
    reason = "INTERNAL"


class HeadUnsound(Internal):
    """A head gave a number that is not finite."""

    reason = "HEAD_UNSOUND"


class EngineFailed(Internal):
    reason = "ENGINE_FAILED"


class TrainingFailed(Error):
    reason = "TRAINING_FAILED"


class TrainerCrashed(TrainingFailed):
    reason = "TRAINER_CRASHED"


class TrainerTimedOut(TrainingFailed):
    reason = "TRAINER_TIMED_OUT"


class TrainerError(TrainingFailed):
    reason = "TRAINER_ERROR"


class JobAbandoned(TrainingFailed):
    """The job was started too often without reaching its end."""

    reason = "JOB_ABANDONED"


class BackboneChanged(TrainingFailed):
    reason = "BACKBONE_CHANGED"


class GateRefused(TrainingFailed):
    """Ends a job as REJECTED, not FAILED."""

    reason = "GATE_REFUSED"


class DuplicateId(Invalid):
    """An example's id is taken within its dataset. Metadata: `field`, `row`, `id`."""

    reason = "DUPLICATE_ID"


class BadExamples(Invalid):
    """Rows that cannot be trained on. Metadata: `problems`, a JSON list of {row, reason}, and `dropped`, counts."""

    reason = "BAD_EXAMPLES"


class VersionRetired(Precondition):
    """The version was trained on rows that were forgotten since, and serves no more."""

    reason = "VERSION_RETIRED"


def every_reason() -> dict[str, type[Error]]:
    """All reasons that can reach a caller, with the class that carries each; for docs and tests."""

    def walk(cls: type[Error]) -> list[type[Error]]:
        return [cls, *(leaf for child in cls.__subclasses__() for leaf in walk(child))]

    return {cls.reason: cls for cls in walk(Error) if cls is Internal or not cls.__subclasses__()}
