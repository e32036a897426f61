"""Every error has a code, and its details say what the error says."""

from __future__ import annotations

import re

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from candelabra import errors
from candelabra.rpc.status import CODES, RETRY_PUSHBACK, STATUS_DETAILS, code_of, to_status

REASONS = errors.every_reason()


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_leaf_has_a_code_of_its_own_branch(reason: str) -> None:
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{2,62}", reason)
    assert code_of(REASONS[reason]) in grpc.StatusCode
    assert any(cls in CODES for cls in REASONS[reason].__mro__ if cls is not errors.Error)


def test_details_carry_reason_domain_and_metadata() -> None:
    code, message, trailing = to_status(errors.HeadNotFound("No such head.", head="a/b"))
    status = status_pb2.Status.FromString(dict(trailing)[STATUS_DETAILS])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (code, message, status.code) == (grpc.StatusCode.NOT_FOUND, "No such head.", 5)
    assert (info.reason, info.domain, dict(info.metadata)) == ("HEAD_NOT_FOUND", "candelabra", {"head": "a/b"})


def test_overload_says_when_to_come_back() -> None:
    code, _, trailing = to_status(errors.QueueFull("Full.", retry_after=0.25))
    status = status_pb2.Status.FromString(dict(trailing)[STATUS_DETAILS])
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert retry.retry_delay.ToMilliseconds() == 250
    assert dict(trailing)[RETRY_PUSHBACK] == "250"
