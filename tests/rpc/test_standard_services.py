"""Health, reflection and Prometheus, as other people's tools see them."""

from __future__ import annotations

import time
import urllib.request

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from sentences import topics

from candelabra.testing.server import Server
from candelabra.v1 import inference_pb2, inference_pb2_grpc
from candelabra_client import Client

SERVICES = [f"candelabra.v1.{name}" for name in ("Inference", "Adaptation", "Heads", "Datasets", "Domains")]


@pytest.mark.parametrize("service", ["", "grpc.health.v1.Health", *SERVICES])
def test_health_of_each_service(server: Server, service: str) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert service in stub.List(health_pb2.HealthListRequest(), timeout=5).statuses


def test_health_of_a_service_that_is_not_there(server: Server) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="no.Such"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="no.Such"), timeout=5)
        assert next(iter(watch)).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


def test_a_client_made_from_reflection_alone_can_predict(server: Server, client: Client) -> None:
    client.adapt("standard/topics", topics(), wait=True, timeout=120)
    with grpc.insecure_channel(server.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(SERVICES) <= set(database.get_services())
        pool = DescriptorPool(database)
        predict = pool.FindServiceByName("candelabra.v1.Inference").FindMethodByName("Predict")
        request = GetMessageClass(predict.input_type)(inputs=[{"text": "Boil the rice."}], heads=["standard/topics"])
        answer_type = GetMessageClass(predict.output_type)
        call = channel.unary_unary(
            "/candelabra.v1.Inference/Predict", lambda m: m.SerializeToString(), answer_type.FromString
        )
        answer = call(request, timeout=20)
        assert answer.results[0].predictions[0].labels[0].label == "cooking"
        assert answer.heads[0].name == "standard/topics@1"


def metric(server: Server, sample: str) -> float:
    with urllib.request.urlopen(server.metrics_url, timeout=5) as page:
        lines = page.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0)


def test_metrics_move_with_the_calls(server: Server, client: Client) -> None:
    client.adapt("standard/metrics", topics(), wait=True, timeout=120)
    watched = {
        'candelabra_calls_total{code="OK",method="Inference/Predict"}': 2,
        'candelabra_call_errors_total{method="Inference/Predict",reason="HEAD_NOT_FOUND"}': 1,
        'candelabra_stage_seconds_count{stage="encode"}': 2,
        'candelabra_predictions_total{domain="general"}': 4,
        'candelabra_call_seconds_count{method="Inference/Predict"}': 3,
    }
    before = {name: metric(server, name) for name in watched}
    for text in ("A first text, seen by no test before.", "And a second one of this kind."):
        client.predict([text, f"{text} Again."], "standard/metrics")
    with pytest.raises(Exception, match="nobody"):
        client.predict("x", "standard/nobody")
    assert {name: metric(server, name) - before[name] for name in watched} == watched
    assert metric(server, "candelabra_heads_resident") >= 1
    assert metric(server, "candelabra_ready") == 1


def test_a_call_is_logged_with_the_callers_request_id_and_no_text(server: Server, client: Client) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = inference_pb2_grpc.InferenceStub(channel)
        request = inference_pb2.PredictRequest(inputs=[{"text": "a very private sentence"}], heads=["no/body"])
        with pytest.raises(grpc.RpcError):
            stub.Predict(request, metadata=(("x-request-id", "trace-4711"),), timeout=5)
    end = time.monotonic() + 5
    while '"request_id": "trace-4711"' not in (log := server.log.read_text("utf-8")):
        assert time.monotonic() < end, "the call is not in the log"
        time.sleep(0.02)
    assert "private sentence" not in log
