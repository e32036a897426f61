"""Drift over the wire: traffic of another kind than the training texts shows."""

from __future__ import annotations

import time

import pytest
from sentences import topics

from candelabra_client import Client, NotFound

STRANGE = "SELECT id, total FROM invoices WHERE paid = 0 AND branch = {at} ORDER BY due LIMIT {at};"


def test_strange_traffic_drifts_and_silence_does_not(client: Client) -> None:
    client.adapt("drift/topics", topics(), method="closed_form", wait=True, timeout=180)
    quiet = client.heads.drift("drift/topics")
    assert (quiet.head, quiet.rows, quiet.drifted) == ("drift/topics@1", 0, False)
    for at in range(40):  # one request in a tenth of a second is looked at
        client.predict(STRANGE.format(at=at), "drift/topics")
        time.sleep(0.11)
    seen = client.heads.drift("drift/topics@1")
    assert seen.rows >= 30
    assert seen.statistic > 0.5
    assert seen.p_value < 0.001
    assert seen.drifted


def test_an_unknown_head_has_a_reason(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.heads.drift("drift/none")
    assert caught.value.reason == "HEAD_NOT_FOUND"
