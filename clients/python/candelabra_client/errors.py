"""What a call can end with instead of a result: one class for each gRPC status code.

CandelabraError
├── InvalidArgument, NotFound, AlreadyExists, PermissionDenied, Unauthenticated, OutOfRange
├── FailedPrecondition, Aborted, ResourceExhausted, Unavailable, DeadlineExceeded, Cancelled
├── DataLoss, Internal, Unknown, Unimplemented
└── JobFailed          a job ended without a promoted version (raised by `Job.raise_for_state`)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc
from google.rpc import error_details_pb2, status_pb2

DETAILS = "grpc-status-details-bin"
PUSHBACK = "grpc-retry-pushback-ms"


class CandelabraError(Exception):
    """Base of everything that this package raises.

    `reason` is the server's machine-readable reason ("HEAD_NOT_FOUND"; empty where the answer did not come from
    the server), `metadata` names the place, `message` is one sentence for people.
    `retry_after` is the pause in seconds that the server asked for; negative: do not try again.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after


class Unknown(CandelabraError):
    code = grpc.StatusCode.UNKNOWN


class InvalidArgument(CandelabraError):
    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(CandelabraError):
    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(CandelabraError):
    code = grpc.StatusCode.ALREADY_EXISTS


class PermissionDenied(CandelabraError):
    code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(CandelabraError):
    code = grpc.StatusCode.UNAUTHENTICATED


class OutOfRange(CandelabraError):
    code = grpc.StatusCode.OUT_OF_RANGE


class FailedPrecondition(CandelabraError):
    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(CandelabraError):
    code = grpc.StatusCode.ABORTED


class ResourceExhausted(CandelabraError):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(CandelabraError):
    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(CandelabraError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Cancelled(CandelabraError):
    code = grpc.StatusCode.CANCELLED


class DataLoss(CandelabraError):
    code = grpc.StatusCode.DATA_LOSS


class Internal(CandelabraError):
    code = grpc.StatusCode.INTERNAL


class Unimplemented(CandelabraError):
    code = grpc.StatusCode.UNIMPLEMENTED


class JobFailed(CandelabraError):
    """The job ended as REJECTED, FAILED or CANCELLED; reason and metadata are those of the job's error."""

    code = grpc.StatusCode.FAILED_PRECONDITION


BY_CODE: Mapping[grpc.StatusCode, type[CandelabraError]] = {
    cls.code: cls for cls in CandelabraError.__subclasses__() if cls is not JobFailed
}
BY_NUMBER: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def of_code(code: grpc.StatusCode) -> type[CandelabraError]:
    return BY_CODE.get(code, Unknown)


def from_call(error: grpc.RpcError) -> CandelabraError:
    """The error of a failed call, of a sync or an asyncio channel."""
    trailing = dict(_pairs(error.trailing_metadata()))
    reason, metadata, retry_after = _details(trailing.get(DETAILS))
    if PUSHBACK in trailing:
        retry_after = _pushback(trailing[PUSHBACK])
    message = error.details() or error.code().name
    return of_code(error.code())(message, reason=reason, metadata=metadata, retry_after=retry_after)


def _pairs(metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterable[tuple[str, str | bytes]]:
    return ((key, value) for key, value in metadata or ())


def _details(packed: str | bytes | None) -> tuple[str, dict[str, str], float | None]:
    """Reason, metadata and pause out of a packed google.rpc.Status; what is not there stays empty."""
    reason = ""
    metadata: dict[str, str] = {}
    pause: float | None = None
    try:
        status = status_pb2.Status.FromString(packed) if isinstance(packed, bytes) else status_pb2.Status()
    except ValueError:  # DecodeError: a proxy's idea of details must not hide the error itself
        return reason, metadata, pause
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(retry):
            pause = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return reason, metadata, pause


def _pushback(value: str | bytes) -> float:
    """Seconds; what is not a number means "do not try again", as gRPC's retry design has it."""
    try:
        return int(value) / 1000
    except ValueError:
        return -1.0
