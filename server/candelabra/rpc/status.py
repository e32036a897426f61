"""The one table from errors to gRPC statuses, with ErrorInfo, RetryInfo and retry push-back."""

from __future__ import annotations

from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc import StatusCode

from candelabra import errors

ERROR_DOMAIN = "candelabra"

CODES: dict[type[errors.Error], StatusCode] = {
    errors.Invalid: StatusCode.INVALID_ARGUMENT,
    errors.OverLimit: StatusCode.INVALID_ARGUMENT,
    errors.MessageTooLarge: StatusCode.RESOURCE_EXHAUSTED,
    errors.TooManyJobs: StatusCode.RESOURCE_EXHAUSTED,
    errors.NotFound: StatusCode.NOT_FOUND,
    errors.AlreadyExists: StatusCode.ALREADY_EXISTS,
    errors.Precondition: StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: StatusCode.UNAVAILABLE,
    errors.Expired: StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: StatusCode.CANCELLED,
    errors.DataLoss: StatusCode.DATA_LOSS,
    errors.Internal: StatusCode.INTERNAL,
    errors.TrainingFailed: StatusCode.ABORTED,
    errors.Error: StatusCode.INTERNAL,
}

RETRY_PUSHBACK = "grpc-retry-pushback-ms"
STATUS_DETAILS = "grpc-status-details-bin"
RETRY_AFTER_SECONDS = 0.1


def code_of(error: type[errors.Error]) -> StatusCode:
    """The code of the nearest ancestor in the table."""
    return next(CODES[cls] for cls in error.__mro__ if cls in CODES)


def to_status(error: errors.Error) -> tuple[StatusCode, str, tuple[tuple[str, str | bytes], ...]]:
    """Code, message and trailing metadata for an error."""
    code = code_of(type(error))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
    details = [_any(info)]
    trailing: list[tuple[str, str | bytes]] = []
    if isinstance(error, errors.Overloaded):
        seconds = float(error.metadata.get("retry_after", RETRY_AFTER_SECONDS))
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(seconds * 1e9))
        details.append(_any(error_details_pb2.RetryInfo(retry_delay=delay)))
        trailing.append((RETRY_PUSHBACK, str(int(seconds * 1000))))
    status = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=error.message, details=details)
    trailing.append((STATUS_DETAILS, status.SerializeToString()))
    return code, error.message, tuple(trailing)


def _any(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
