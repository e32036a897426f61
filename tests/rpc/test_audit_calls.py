"""Audits over the wire: a flipped label and copies are found."""

from __future__ import annotations

import pytest
from sentences import topics

from candelabra_client import Client, Example, InvalidArgument, NotFound


def test_a_flipped_label_and_copies_are_found(client: Client) -> None:
    rows = [Example(text, (label,), id=f"row-{at}") for at, (text, label) in enumerate(topics())]
    rows[15] = Example(rows[15].text, ("football",), id="flipped")
    rows.append(Example(rows[2].text.upper(), rows[2].labels, id="copy"))
    rows.append(Example(rows[30].text, ("weather",), id="against"))
    client.datasets.append("audit/flipped", rows)
    found = client.datasets.audit("audit/flipped", limit=5)
    assert found.examined == len(rows)
    first = found.suspects[0]
    assert (first.id, first.position, first.given, first.suggested) == ("flipped", 15, "football", "cooking")
    assert 0 <= found.noise < 0.3
    assert len(found.suspects) <= 5
    copies = {one.id: one for one in found.duplicates}
    assert (copies["copy"].of_position, copies["copy"].conflicting) == (2, False)
    assert (copies["against"].of_id, copies["against"].conflicting) == ("row-30", True)
    assert found.duplicates[0].conflicting


def test_positions_are_those_of_the_dataset_after_rows_were_forgotten(client: Client) -> None:
    rows = [Example(text, (label,), id=f"row-{at}") for at, (text, label) in enumerate(topics())]
    rows[15] = Example(rows[15].text, ("football",), id="flipped")
    client.datasets.append("audit/gaps", rows)
    client.datasets.forget("audit/gaps", ids=["row-0", "row-1"])
    found = client.datasets.audit("audit/gaps")
    assert (found.suspects[0].id, found.suspects[0].position) == ("flipped", 15)


def test_what_cannot_be_audited_has_a_reason(client: Client) -> None:
    with pytest.raises(NotFound) as missing:
        client.datasets.audit("audit/none")
    assert missing.value.reason == "DATASET_NOT_FOUND"
    client.datasets.append("audit/bad", topics())
    with pytest.raises(InvalidArgument) as caught:
        client.datasets.audit("audit/bad", limit=-1)
    assert caught.value.reason == "INVALID_ARGUMENT"
