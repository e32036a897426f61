"""The blocking client against the fake server: every verb, order, chunks, pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from candelabra_client import (
    Ask,
    Client,
    DeadlineExceeded,
    Example,
    InvalidArgument,
    JobEvent,
    JobFailed,
    NotFound,
    Unavailable,
)
from candelabra_client.testing import FakeServer
from candelabra_client.v1 import adaptation_pb2

LONG = "the harbour authority raised its fees again"


def test_predict_gives_one_answer_a_text_and_names_the_version(client: Client) -> None:
    answers = client.predict([LONG, "fees"], ["acme/news", "acme/news@1"])
    assert [answer.label for answer in answers] == ["long", "short"]
    first = answers[0]["acme/news"]
    assert first.head == "acme/news@1"
    assert first.digest.startswith("sha256:")
    assert first.scores == {"long": 0.75, "short": 0.25}
    assert first.probabilities == (0.75,)
    assert first.values == {"characters": float(len(LONG))}
    assert answers.backbone == "sha256:backbone"
    assert answers.timings.encode == 0.002
    assert [head.name for head in answers.heads] == ["acme/news@1", "acme/news@1"]
    with pytest.raises(KeyError, match="was not asked"):
        answers[0]["acme/other"]


def test_predict_takes_one_text_and_one_head_as_strings(client: Client) -> None:
    assert len(client.predict("one text", "acme/news")) == 1


def test_an_unknown_head_is_not_found_with_its_reason(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.predict("one text", "acme/missing")
    assert caught.value.reason == "HEAD_NOT_FOUND"
    assert caught.value.metadata == {"head": "acme/missing"}
    assert "acme/missing" in caught.value.message


def test_a_deadline_is_kept_and_not_retried(client: Client, server: FakeServer) -> None:
    server.store.delay = 0.6
    with pytest.raises(DeadlineExceeded):
        client.predict("one text", "acme/news", timeout=0.1)
    assert server.calls["Predict"] == 1


def test_half_a_character_is_refused_before_it_is_sent(client: Client, server: FakeServer) -> None:
    with pytest.raises(InvalidArgument, match="Text 2") as caught:
        client.predict(["fine", "bad \ud800"], "acme/news")
    assert caught.value.reason == "INVALID_UTF8"
    assert server.calls["Predict"] == 0


def test_a_stream_keeps_the_order_and_survives_a_refused_item(client: Client) -> None:
    items = [LONG, Ask("fees", heads="acme/missing", id="second"), ["fees", LONG]]
    found = list(client.predict_stream(items, "acme/news"))
    assert [len(answers) for answers in found] == [1, 0, 2]
    assert isinstance(found[1].error, NotFound)
    assert found[1].id == "second"
    with pytest.raises(NotFound):
        found[1][0]
    assert [answer["acme/news"].label for answer in found[2]] == ["short", "long"]


def test_a_broken_source_of_a_stream_breaks_in_the_callers_hands(client: Client) -> None:
    def source() -> Iterator[str]:
        yield "fees"
        raise ZeroDivisionError("the source broke")

    stream = client.predict_stream(source(), "acme/news")
    assert len(next(stream)) == 1
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_embed_and_backbone(client: Client) -> None:
    assert client.embed(["ab", "abc"], layer=0).embeddings[1].values == (3.0, 1.0)
    assert client.backbone().window == 16


def test_adapt_waits_and_tells_progress(client: Client, server: FakeServer) -> None:
    heard: list[JobEvent] = []
    handle = client.adapt(
        "acme/fresh",
        [("rates fell", "down"), ("rates rose", ["up"]), Example("flat", ())],
        options={"solver": "lda", "ridge": 0.5},
        promote=False,
        seed=7,
        request_id="one",
        on_progress=heard.append,
    )
    assert handle.job.raise_for_state().head_version == "acme/fresh@1"
    assert handle.job.report is not None
    score = handle.job.report.score()
    assert score is not None
    assert score.low == 0.8
    assert [event.progress.phase for event in heard if event.progress] == ["encode", "train", "gate"]
    sent = server.store.requests["acme/jobs/one"]
    assert [list(example.labels) for example in sent.examples.examples] == [["down"], ["up"], []]
    assert sent.method == adaptation_pb2.CLOSED_FORM
    assert sent.closed_form.ridge == 0.5
    assert sent.no_promote
    assert sent.seed == 7


def test_the_same_request_id_gives_the_same_job(client: Client) -> None:
    first = client.adapt("acme/fresh", [("a", "b")], request_id="one")
    second = client.adapt("acme/fresh", [("a", "b")], request_id="one")
    third = client.adapt("acme/fresh", [("a", "b")])
    assert first.job.name == second.job.name != third.job.name


def test_a_rejected_job_is_returned_and_raises_on_demand(client: Client, server: FakeServer) -> None:
    server.store.ends_as = adaptation_pb2.REJECTED
    job = client.adapt("acme/fresh", dataset="acme/rows", wait=True).job
    assert job.state == "rejected"
    with pytest.raises(JobFailed, match="worse") as caught:
        job.raise_for_state()
    assert caught.value.reason == "GATE_REFUSED"


@pytest.mark.parametrize(
    ("options", "method", "sentence"),
    [({"width": 3}, None, "no option width"), ({"hidden": 3}, "closed_form", "no option"), ({}, "magic", "unknown")],
)
def test_wrong_options_are_refused_here(client: Client, options: dict, method: str | None, sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        client.adapt("acme/fresh", [("a", "b")], method=method, options=options)


def test_examples_or_dataset_not_both(client: Client) -> None:
    with pytest.raises(InvalidArgument, match="either"):
        client.adapt("acme/fresh", [("a", "b")], dataset="acme/rows")


def test_an_example_of_another_shape_is_named_by_its_number(client: Client) -> None:
    with pytest.raises(InvalidArgument, match="Example 2"):
        client.adapt("acme/fresh", [("a", "b"), ("only a text",)])  # type: ignore[list-item]


def test_watching_goes_on_where_the_stream_broke(client: Client, server: FakeServer) -> None:
    server.store.break_after = 2
    handle = client.adapt("acme/fresh", [("a", "b")])
    assert [event.sequence for event in handle.watch()] == [1, 2, 3, 4]
    assert handle.job.succeeded
    assert server.calls["WatchJob"] == 2
    assert handle.wait() is handle.job


def test_watching_survives_a_restart_on_the_same_port(quick) -> None:  # type: ignore[no-untyped-def]
    with FakeServer() as first:
        client = Client(first.address, retry=quick, reconnect_seconds=10)
        handle = client.adapt("acme/fresh", [("a", "b")])
        events = handle.watch()
        assert next(events).sequence == 1
        first.store.break_after = None
        address, store = first.address, first.store
    second = FakeServer(address)
    second.store.jobs.update(store.jobs)
    with second, client:
        rest = [event.sequence for event in events]
        assert rest[-1] == 4
        assert sorted(set(rest)) == rest
        assert handle.job.succeeded


def test_a_server_that_stays_away_is_unavailable_in_the_end(quick) -> None:  # type: ignore[no-untyped-def]
    with FakeServer() as server:
        client = Client(server.address, retry=quick, reconnect_seconds=0.3)
        handle = client.adapt("acme/fresh", [("a", "b")])
    with client, pytest.raises(Unavailable):
        handle.wait()


def test_waiting_too_long_says_that_the_job_goes_on(client: Client, server: FakeServer, quick) -> None:  # type: ignore[no-untyped-def]
    import grpc

    handle = client.adapt("acme/fresh", [("a", "b")])
    server.refuse("WatchJob", grpc.StatusCode.UNAVAILABLE, times=1000)
    with pytest.raises(DeadlineExceeded, match="goes on"):
        handle.wait(timeout=0.3)


def test_cancel_refresh_and_the_lists_of_jobs(client: Client) -> None:
    handles = [client.adapt("acme/fresh", [("a", "b")]) for _ in range(5)]
    assert handles[0].cancel().state == "cancelled"
    assert client.jobs.get(handles[0].job.name).ended
    assert [job.name for job in client.jobs.list("acme")] == [handle.job.name for handle in reversed(handles)]
    assert len(client.jobs.list("acme", states=["queued"], limit=3)) == 3
    assert client.jobs.handle(handles[1].job.name).wait().succeeded
    with pytest.raises(InvalidArgument, match="state"):
        client.jobs.list(states="sleeping")


def test_heads(client: Client, server: FakeServer, tmp_path: Path) -> None:
    for _ in range(4):
        server.store.add_version("acme/news")
    assert [version.version for version in client.heads.versions("acme/news")] == [5, 4, 3, 2, 1]
    assert client.heads.promote("acme/news@4").aliases == {"live": 4}
    assert client.heads.roll_back("acme/news").aliases == {"live": 1}
    assert client.heads.version("acme/news@2").kind == "single_label"
    assert client.heads.get("acme/news").version_count == 5
    content = client.heads.export("acme/news@2")
    assert content.startswith(b"sha256:")
    file = tmp_path / "head"
    file.write_bytes(content * 40_000)
    assert client.heads.import_("acme/copy", file).name == "acme/copy@1"
    assert server.store.files["acme/copy@1"] == content * 40_000
    assert [head.name for head in client.heads.list("acme")] == ["acme/copy", "acme/news"]
    assert client.heads.delete("acme/copy") == ("acme/copy@1",)


def test_datasets_are_uploaded_in_chunks_once(client: Client, server: FakeServer) -> None:
    rows = [(f"row {number} " + "x" * 1000, "even" if number % 2 == 0 else "odd") for number in range(3000)]
    assert client.datasets.append("acme/rows", iter(rows), request_id="up").appended == 3000
    assert server.store.uploads["up"] >= 3
    client.datasets.append("acme/rows", rows, request_id="up")
    dataset = client.datasets.get("acme/rows")
    assert dataset.rows == 3000
    assert dataset.label_counts == {"even": 1500, "odd": 1500}
    assert [row.text for row in server.store.datasets["acme/rows"][:2]] == [rows[0][0], rows[1][0]]
    assert [found.name for found in client.datasets.list("acme")] == ["acme/rows"]
    client.datasets.delete("acme/rows")
    with pytest.raises(NotFound):
        client.datasets.get("acme/rows")


def test_domains(client: Client) -> None:
    assert client.domains.list()[0].tasks[0].kind == "single_label"
    with pytest.raises(NotFound):
        client.domains.get("astrology")
