"""Bad input gets a code, a machine-readable reason and a sentence; the server goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from sentences import topics

from candelabra.testing.server import Server
from candelabra.v1 import (
    adaptation_pb2,
    adaptation_pb2_grpc,
    common_pb2,
    datasets_pb2,
    datasets_pb2_grpc,
    domains_pb2,
    domains_pb2_grpc,
    heads_pb2,
    heads_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
)
from candelabra_client import Client

HEAD = "bad-input/topics"
TOPIC = common_pb2.Examples(examples=[common_pb2.Example(text=text, labels=[label]) for text, label in topics()])


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with Client(server.address) as client:
        client.adapt(HEAD, topics(), wait=True, timeout=120)
    with grpc.insecure_channel(server.address) as made:
        yield made


def ask(texts: list[str], heads: list[str], **fields: object) -> inference_pb2.PredictRequest:
    return inference_pb2.PredictRequest(
        inputs=[inference_pb2.Input(text=text) for text in texts], heads=heads, **fields
    )


def adapt(
    *examples: tuple[str, list[str]], head: str = "bad-input/new", **fields: object
) -> adaptation_pb2.AdaptRequest:
    made = [common_pb2.Example(text=text, labels=labels) for text, labels in examples]
    source = {"examples": common_pb2.Examples(examples=made)} if examples else {}
    return adaptation_pb2.AdaptRequest(head=head, **source, **fields)


TWO = (("rain", ["weather"]), ("soup", ["food"]))
PREDICT, ADAPT = "Predict", "Adapt"
CASES: list[tuple[str, str, object, str, str]] = [
    # what, rpc, request, code, reason
    ("no inputs", PREDICT, ask([], [HEAD]), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ("no heads", PREDICT, ask(["x"], []), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ("empty text", PREDICT, ask(["fine", ""], [HEAD]), "INVALID_ARGUMENT", "INVALID_TEXT"),
    ("NUL byte", PREDICT, ask(["a\0b"], [HEAD]), "INVALID_ARGUMENT", "INVALID_TEXT"),
    ("text too long", PREDICT, ask(["x" * 100_001], [HEAD]), "INVALID_ARGUMENT", "LIMIT_EXCEEDED"),
    ("too many inputs", PREDICT, ask(["x"] * 257, [HEAD]), "INVALID_ARGUMENT", "LIMIT_EXCEEDED"),
    ("too many heads", PREDICT, ask(["x"], [HEAD] * 65), "INVALID_ARGUMENT", "LIMIT_EXCEEDED"),
    ("negative top_k", PREDICT, ask(["x"], [HEAD], top_k=-1), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ("unknown head", PREDICT, ask(["x"], ["bad-input/nobody"]), "NOT_FOUND", "HEAD_NOT_FOUND"),
    ("unknown head among known", PREDICT, ask(["x"], [HEAD, "no/body"]), "NOT_FOUND", "HEAD_NOT_FOUND"),
    ("unknown version", PREDICT, ask(["x"], [f"{HEAD}@99"]), "NOT_FOUND", "VERSION_NOT_FOUND"),
    ("unknown alias", PREDICT, ask(["x"], [f"{HEAD}@canary"]), "NOT_FOUND", "ALIAS_NOT_FOUND"),
    ("no tenant", PREDICT, ask(["x"], ["topics"]), "INVALID_ARGUMENT", "INVALID_NAME"),
    ("path in a name", PREDICT, ask(["x"], ["../etc/passwd"]), "INVALID_ARGUMENT", "INVALID_NAME"),
    ("version nought", PREDICT, ask(["x"], [f"{HEAD}@0"]), "INVALID_ARGUMENT", "INVALID_NAME"),
    ("no examples", ADAPT, adapt(), "INVALID_ARGUMENT", "NO_EXAMPLES"),
    ("one class", ADAPT, adapt(("a", ["x"]), ("b", ["x"])), "INVALID_ARGUMENT", "TOO_FEW_LABELS"),
    ("all duplicates", ADAPT, adapt(("a", ["x"]), ("a", ["x"])), "INVALID_ARGUMENT", "ALL_DUPLICATES"),
    ("no label", ADAPT, adapt(("a", []), ("b", ["x"])), "INVALID_ARGUMENT", "TOO_FEW_LABELS"),
    ("empty example", ADAPT, adapt(("", ["x"]), ("b", ["y"])), "INVALID_ARGUMENT", "INVALID_TEXT"),
    ("empty label", ADAPT, adapt(("a", [""]), ("b", ["y"])), "INVALID_ARGUMENT", "INVALID_TEXT"),
    ("long label", ADAPT, adapt(("a", ["x" * 201]), ("b", ["y"])), "INVALID_ARGUMENT", "LIMIT_EXCEEDED"),
    (
        "too many labels",
        ADAPT,
        adapt(*((f"t{n}", [f"l{n}"]) for n in range(1001))),
        "INVALID_ARGUMENT",
        "LIMIT_EXCEEDED",
    ),
    (
        "label outside the domain",
        ADAPT,
        adapt(*TWO, domain="finance", task="sentiment"),
        "INVALID_ARGUMENT",
        "LABEL_NOT_IN_DOMAIN",
    ),
    ("unknown domain", ADAPT, adapt(*TWO, domain="cooking"), "INVALID_ARGUMENT", "UNKNOWN_DOMAIN"),
    ("unknown task", ADAPT, adapt(*TWO, task="poetry"), "INVALID_ARGUMENT", "UNKNOWN_TASK"),
    ("bad head name", ADAPT, adapt(*TWO, head="Acme/Über"), "INVALID_ARGUMENT", "INVALID_NAME"),
    ("alias like a version", ADAPT, adapt(*TWO, alias="3"), "INVALID_ARGUMENT", "INVALID_NAME"),
    (
        "other domain than the head's",
        ADAPT,
        adapt(*TWO, head=HEAD, task="multi_label"),
        "FAILED_PRECONDITION",
        "HEAD_MISMATCH",
    ),
    ("unknown dataset", ADAPT, adapt(dataset="bad-input/none"), "NOT_FOUND", "DATASET_NOT_FOUND"),
    ("another tenant's dataset", ADAPT, adapt(dataset="other/rows"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    (
        "options of another method",
        ADAPT,
        adapt(*TWO, method="CLOSED_FORM", dense=adaptation_pb2.DenseOptions(hidden=4)),
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
    ),
    ("unknown method", ADAPT, adapt(*TWO, method=77), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    (
        "nonsense ridge",
        ADAPT,
        adapt(*TWO, method="CLOSED_FORM", closed_form=adaptation_pb2.ClosedFormOptions(ridge=-1)),
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
    ),
    (
        "unknown layer",
        ADAPT,
        adapt(*TWO, method="CLOSED_FORM", closed_form=adaptation_pb2.ClosedFormOptions(layers=[99])),
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
    ),
    ("unknown job", "GetJob", adaptation_pb2.GetJobRequest(name="bad-input/jobs/0"), "NOT_FOUND", "JOB_NOT_FOUND"),
    ("no job name", "GetJob", adaptation_pb2.GetJobRequest(name="bad-input"), "INVALID_ARGUMENT", "INVALID_NAME"),
    (
        "bad page token",
        "ListJobs",
        adaptation_pb2.ListJobsRequest(page_token="?"),
        "INVALID_ARGUMENT",
        "INVALID_PAGE_TOKEN",
    ),
    ("negative page", "ListHeads", heads_pb2.ListHeadsRequest(page_size=-1), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ("alias without version", "SetAlias", heads_pb2.SetAliasRequest(name=HEAD), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    (
        "alias that has moved",
        "SetAlias",
        heads_pb2.SetAliasRequest(name=f"{HEAD}@1", expected_version=9),
        "FAILED_PRECONDITION",
        "ALIAS_MOVED",
    ),
    (
        "nothing to roll back to",
        "RollBack",
        heads_pb2.RollBackRequest(name=HEAD),
        "FAILED_PRECONDITION",
        "NO_EARLIER_VERSION",
    ),
    (
        "delete what is live",
        "DeleteHead",
        heads_pb2.DeleteHeadRequest(name=f"{HEAD}@1"),
        "FAILED_PRECONDITION",
        "HEAD_IN_USE",
    ),
    (
        "delete by alias",
        "DeleteHead",
        heads_pb2.DeleteHeadRequest(name=f"{HEAD}@live"),
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
    ),
    (
        "unknown dataset again",
        "GetDataset",
        datasets_pb2.GetDatasetRequest(name="a/b"),
        "NOT_FOUND",
        "DATASET_NOT_FOUND",
    ),
    ("unknown domain again", "GetDomain", domains_pb2.GetDomainRequest(name="x"), "NOT_FOUND", "DOMAIN_NOT_FOUND"),
    (
        "unknown pooling",
        "Embed",
        inference_pb2.EmbedRequest(inputs=[{"text": "x"}], pooling="max"),
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
    ),
    (
        "layer too deep",
        "Embed",
        inference_pb2.EmbedRequest(inputs=[{"text": "x"}], layer=99),
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
    ),
]


def method(channel: grpc.Channel, rpc: str) -> Callable[..., object]:
    stubs = (
        inference_pb2_grpc.InferenceStub,
        adaptation_pb2_grpc.AdaptationStub,
        heads_pb2_grpc.HeadsStub,
        datasets_pb2_grpc.DatasetsStub,
        domains_pb2_grpc.DomainsStub,
    )
    found: Callable[..., object] = next(getattr(stub(channel), rpc) for stub in stubs if hasattr(stub(channel), rpc))
    return found


def refused(call: Callable[[], object]) -> tuple[str, error_details_pb2.ErrorInfo, str]:
    """Code, ErrorInfo and message of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    trailing = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert status.code == error.code().value[0]
    assert trailing["x-request-id"]
    return error.code().name, info, error.details()


@pytest.mark.parametrize(
    ("rpc", "request_", "code", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_refused_with_a_reason(channel: grpc.Channel, rpc: str, request_: object, code: str, reason: str) -> None:
    got, info, message = refused(lambda: method(channel, rpc)(request_, timeout=20))
    assert (got, info.reason, info.domain) == (code, reason, "candelabra")
    assert message.endswith((".", ")"))
    assert "Traceback" not in message
    answer = method(channel, PREDICT)(ask(["Rain again."], [HEAD]), timeout=20)
    assert answer.results[0].predictions[0].labels  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"\x0a\x06\x0a\x04\xff\xfe\xfd\xfc\x12\x03a/b", "INVALID_UTF8"), (b"\x0a\xff\xff", "MALFORMED_MESSAGE")],
)
def test_bytes_that_are_no_message(channel: grpc.Channel, data: bytes, reason: str) -> None:
    raw = channel.unary_unary("/candelabra.v1.Inference/Predict")
    code, info, _ = refused(lambda: raw(data, timeout=20))
    assert (code, info.reason) == ("INVALID_ARGUMENT", reason)


def test_a_message_over_the_limit(channel: grpc.Channel) -> None:
    raw = channel.unary_unary("/candelabra.v1.Inference/Predict")
    code, info, _ = refused(lambda: raw(b"\x0a" + b"\0" * (17 * 1024**2), timeout=20))
    assert (code, info.reason, info.metadata["limit"]) == (
        "RESOURCE_EXHAUSTED",
        "MESSAGE_TOO_LARGE",
        "max_message_bytes",
    )


def test_an_append_that_breaks_off_keeps_nothing(channel: grpc.Channel) -> None:
    good = common_pb2.Example(text="fine", labels=["x"])
    bad = common_pb2.Example(text="", labels=["x"])
    chunks = [
        datasets_pb2.AppendExamplesRequest(dataset="bad-input/rows", examples=[good] * 5),
        datasets_pb2.AppendExamplesRequest(examples=[good, bad]),
    ]
    stub = datasets_pb2_grpc.DatasetsStub(channel)
    _, info, _ = refused(lambda: stub.AppendExamples(iter(chunks), timeout=20))
    assert (info.reason, info.metadata["field"]) == ("INVALID_TEXT", "examples[6].text")
    assert (
        refused(lambda: stub.GetDataset(datasets_pb2.GetDatasetRequest(name="bad-input/rows")))[1].reason
        == "DATASET_NOT_FOUND"
    )


@pytest.mark.parametrize("data", [b"", b"not a head", b"\x10\0\0\0\0\0\0\0{}"])
def test_an_import_of_something_else(channel: grpc.Channel, data: bytes) -> None:
    stub = heads_pb2_grpc.HeadsStub(channel)
    requests = [heads_pb2.ImportHeadRequest(name="bad-input/imported", chunk=data)]
    code, info, _ = refused(lambda: stub.ImportHead(iter(requests), timeout=20))
    assert (code, info.reason) == ("INVALID_ARGUMENT", "CORRUPT_ARCHIVE" if data else "INVALID_ARGUMENT")
