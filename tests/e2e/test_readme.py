"""What the README shows is run: its Python, and its grpcurl calls as messages, against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from candelabra.testing.server import Server
from candelabra.v1 import adaptation_pb2, adaptation_pb2_grpc, inference_pb2, inference_pb2_grpc

ADDRESS = "127.0.0.1:8001"


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


def test_python_of_the_readme(readme: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert ADDRESS in block
        exec(compile(block.replace(ADDRESS, server.address), "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "acme/topic@1" in said
    assert re.search(r"^delivery .*\n^payment ", said, flags=re.MULTILINE), said


def test_grpcurl_of_the_readme(readme: str, server: Server) -> None:
    calls = dict(reversed(found) for found in re.findall(r"-d '([^']+)' \\\n  \S+ (candelabra\.v1\.\S+)", readme))
    adapt = json_format.Parse(calls["candelabra.v1.Adaptation/Adapt"], adaptation_pb2.AdaptRequest())
    predict = json_format.Parse(calls["candelabra.v1.Inference/Predict"], inference_pb2.PredictRequest())
    with grpc.insecure_channel(server.address) as channel:
        job = adaptation_pb2_grpc.AdaptationStub(channel).Adapt(adapt, timeout=120)
        assert job.state == adaptation_pb2.SUCCEEDED, job.error
        answer = inference_pb2_grpc.InferenceStub(channel).Predict(predict, timeout=30)
    prediction = answer.results[0].predictions[0]
    assert (prediction.head, prediction.labels[0].label) == ("acme/desk@1", "sport")
