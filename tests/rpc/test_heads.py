"""Heads over the wire: promotion, roll-back, deletion, one-file export and import."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sentences import topics

from candelabra.heads.head import Head
from candelabra_client import Client, FailedPrecondition, NotFound


def versions(client: Client, name: str, count: int) -> None:
    for number in range(count):
        rows = topics()[number:]
        client.adapt(name, rows, wait=True, force=True, timeout=120)


def test_promote_roll_back_and_delete(client: Client) -> None:
    name = "heads/moves"
    versions(client, name, 3)
    assert client.heads.promote(f"{name}@1").aliases == {"live": 1}
    assert client.predict("Rain.", name).heads[0].name == f"{name}@1"
    assert client.heads.roll_back(name).aliases == {"live": 3}
    assert client.predict("Rain.", name).heads[0].name == f"{name}@3"
    assert client.heads.set_alias(f"{name}@2", "canary").aliases == {"live": 3, "canary": 2}
    assert client.heads.delete(f"{name}@1") == (f"{name}@1",)
    with pytest.raises(NotFound):
        client.predict("Rain.", f"{name}@1")
    assert [version.version for version in client.heads.versions(name)] == [3, 2]
    assert set(client.heads.delete(name)) == {f"{name}@2", f"{name}@3"}
    with pytest.raises(NotFound):
        client.predict("Rain.", name)


def test_a_head_travels_as_one_file(client: Client) -> None:
    versions(client, "heads/source", 1)
    data = client.heads.export("heads/source")
    copy = client.heads.import_("heads/copy", data, alias="live")
    assert copy.digest == client.heads.version("heads/source").digest
    text = "The coach changed his side after the hail."
    first, second = client.predict(text, ["heads/source", "heads/copy"])[0]
    assert first.scores == second.scores
    assert second.head == "heads/copy@1"


def test_a_head_of_another_backbone_is_refused(client: Client) -> None:
    versions(client, "heads/own", 1)
    foreign = replace(Head.from_bytes(client.heads.export("heads/own")), backbone="some-other-encoder-0123")
    with pytest.raises(FailedPrecondition, match="some-other-encoder-0123") as caught:
        client.heads.import_("heads/foreign", foreign.to_bytes())
    assert caught.value.reason == "WRONG_BACKBONE"


def test_pages_of_heads_hold_every_head_once(client: Client) -> None:
    versions(client, "paged/only", 1)
    data = client.heads.export("paged/only")
    for number in range(7):
        client.heads.import_(f"paged/head-{number}", data)
    names = [head.name for head in client.heads.list("paged")]
    assert sorted(names) == ["paged/head-0", *(f"paged/head-{n}" for n in range(1, 7)), "paged/only"]
