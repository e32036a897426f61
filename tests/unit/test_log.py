"""Logs: one event a line, with the request's id."""

from __future__ import annotations

import io
import json
import logging

import pytest

from candelabra import log


@pytest.fixture(autouse=True)
def put_back() -> object:
    root = logging.getLogger()
    before, level = root.handlers[:], logging.getLogger("candelabra").level
    yield
    root.handlers[:] = before
    logging.getLogger("candelabra").setLevel(level)


def test_json_lines_carry_fields_and_request_id() -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream)
    token = log.request_id.set("r-1")
    logging.getLogger("candelabra.x").info("job ended", extra={"state": "succeeded"})
    logging.getLogger("candelabra.x").debug("not this")
    log.request_id.reset(token)
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (event["event"], event["state"], event["request_id"], event["level"]) == (
        "job ended",
        "succeeded",
        "r-1",
        "info",
    )


def test_text_lines_are_for_people_and_keep_the_traceback() -> None:
    stream = io.StringIO()
    log.configure("debug", "text", stream)
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("candelabra").exception("failed", extra={"head": "a/b"})
    assert "failed head=a/b" in stream.getvalue()
    assert "ValueError: odd" in stream.getvalue()
