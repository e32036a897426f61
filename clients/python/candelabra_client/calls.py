"""Every verb as a flow: request, RPC, parsing. Both faces run these and add nothing but waiting."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from google.protobuf import wrappers_pb2

from candelabra_client import flows, requests, rpcs
from candelabra_client.answers import answers
from candelabra_client.care import Advice, Audit, Forgotten
from candelabra_client.flows import Flow
from candelabra_client.read import read
from candelabra_client.requests import Labelled, Text
from candelabra_client.results import (
    Answers,
    Appended,
    Backbone,
    Dataset,
    Domain,
    Drift,
    Embeddings,
    Head,
    HeadVersion,
    Job,
)
from candelabra_client.retry import Retry
from candelabra_client.v1 import adaptation_pb2, datasets_pb2, domains_pb2, heads_pb2, inference_pb2


class Calls:
    """The verbs with one client's way to retry."""

    def __init__(self, retry: Retry, reconnect_seconds: float) -> None:
        self.retry = retry
        self.reconnect_seconds = reconnect_seconds

    def _one(self, rpc: rpcs.Rpc, request: Any, timeout: float | None) -> Flow[Any]:
        return flows.send(rpc, request, read, self.retry, timeout)

    def _all(self, rpc: rpcs.Rpc, request: Any, items: str, limit: int, timeout: float | None) -> Flow[list[Any]]:
        return flows.pages(rpc, request, items, limit, self.retry, timeout)

    # Inference

    def predict(
        self,
        texts: Text | Iterable[Text],
        heads: str | Iterable[str],
        top_k: int,
        coverage: float,
        outside: bool,
        timeout: float | None,
    ) -> Flow[Answers]:
        request = requests.predict(texts, heads, top_k, coverage=coverage, outside=outside)
        return flows.send(rpcs.PREDICT, request, lambda response: answers(response, request.heads), self.retry, timeout)

    def embed(
        self,
        texts: str | Iterable[str],
        pooling: str,
        layer: int | None,
        normalize: bool,
        long_text: str,
        tenant: str,
        timeout: float | None,
    ) -> Flow[Embeddings]:
        request = inference_pb2.EmbedRequest(
            inputs=requests.inputs(texts),
            pooling=pooling,
            layer=layer,
            normalize=normalize,
            long_text=requests.long_text(long_text),
            tenant=tenant,
        )
        return self._one(rpcs.EMBED, request, timeout)

    def backbone(self, timeout: float | None) -> Flow[Backbone]:
        return self._one(rpcs.GET_BACKBONE, inference_pb2.GetBackboneRequest(), timeout)

    def health(self, service: str, timeout: float | None) -> Flow[str]:
        request = wrappers_pb2.StringValue(value=service)
        return flows.send(rpcs.HEALTH, request, lambda status: rpcs.HEALTH_WORDS[status.value], self.retry, timeout)

    # Adaptation

    def adapt(self, head: str, request_id: str | None, timeout: float | None, **fields: Any) -> Flow[Job]:
        request = requests.adapt(head, request_id=request_id or str(uuid.uuid4()), **fields)
        return self._one(rpcs.ADAPT, request, timeout)

    def job(self, name: str, timeout: float | None) -> Flow[Job]:
        return self._one(rpcs.GET_JOB, adaptation_pb2.GetJobRequest(name=name), timeout)

    def jobs(
        self, tenant: str, head: str, states: str | Iterable[str], limit: int, timeout: float | None
    ) -> Flow[list[Job]]:
        request = adaptation_pb2.ListJobsRequest(tenant=tenant, head=head, states=requests.states(states))
        return self._all(rpcs.LIST_JOBS, request, "jobs", limit, timeout)

    def watch(self, name: str, after: int, timeout: float | None) -> Flow[None]:
        return flows.watch(name, after, self.retry, timeout, self.reconnect_seconds)

    def cancel(self, name: str, timeout: float | None) -> Flow[Job]:
        return self._one(rpcs.CANCEL_JOB, adaptation_pb2.CancelJobRequest(name=name), timeout)

    def advise(
        self,
        examples: Iterable[Labelled] | None,
        dataset: str | None,
        domain: str,
        task: str,
        backbones: Iterable[str],
        max_examples: int,
        timeout: float | None,
    ) -> Flow[Advice]:
        request = requests.advise(examples, dataset, domain, task, backbones, max_examples)
        return flows.advise(request, self.retry, timeout)

    # Heads

    def heads(self, tenant: str, limit: int, timeout: float | None) -> Flow[list[Head]]:
        return self._all(rpcs.LIST_HEADS, heads_pb2.ListHeadsRequest(tenant=tenant), "heads", limit, timeout)

    def head(self, name: str, timeout: float | None) -> Flow[Head]:
        return self._one(rpcs.GET_HEAD, heads_pb2.GetHeadRequest(name=name), timeout)

    def versions(self, name: str, limit: int, timeout: float | None) -> Flow[list[HeadVersion]]:
        return self._all(rpcs.LIST_VERSIONS, heads_pb2.ListVersionsRequest(name=name), "versions", limit, timeout)

    def version(self, name: str, timeout: float | None) -> Flow[HeadVersion]:
        return self._one(rpcs.GET_VERSION, heads_pb2.GetVersionRequest(name=name), timeout)

    def set_alias(self, name: str, alias: str, expected: int | None, timeout: float | None) -> Flow[Head]:
        request = heads_pb2.SetAliasRequest(name=name, alias=alias, expected_version=expected)
        return self._one(rpcs.SET_ALIAS, request, timeout)

    def roll_back(self, name: str, alias: str, timeout: float | None) -> Flow[Head]:
        return self._one(rpcs.ROLL_BACK, heads_pb2.RollBackRequest(name=name, alias=alias), timeout)

    def delete_alias(self, name: str, alias: str, timeout: float | None) -> Flow[Head]:
        return self._one(rpcs.DELETE_ALIAS, heads_pb2.DeleteAliasRequest(name=name, alias=alias), timeout)

    def delete_head(self, name: str, timeout: float | None) -> Flow[tuple[str, ...]]:
        request = heads_pb2.DeleteHeadRequest(name=name)
        return flows.send(rpcs.DELETE_HEAD, request, lambda response: tuple(response.deleted), self.retry, timeout)

    def drift(self, name: str, timeout: float | None) -> Flow[Drift]:
        return self._one(rpcs.GET_DRIFT, heads_pb2.GetDriftRequest(name=name), timeout)

    def export(self, name: str, timeout: float | None) -> Flow[bytes]:
        return flows.export(name, self.retry, timeout)

    def import_(self, name: str, content: bytes, alias: str, timeout: float | None) -> Flow[HeadVersion]:
        return self._one(rpcs.IMPORT_HEAD, requests.import_head(name, content, alias), timeout)

    # Datasets

    def append(
        self, name: str, examples: Iterable[Labelled], request_id: str | None, timeout: float | None
    ) -> Flow[Appended]:
        messages = requests.append(name, examples, request_id or str(uuid.uuid4()))
        return self._one(rpcs.APPEND_EXAMPLES, messages, timeout)

    def datasets(self, tenant: str, limit: int, timeout: float | None) -> Flow[list[Dataset]]:
        request = datasets_pb2.ListDatasetsRequest(tenant=tenant)
        return self._all(rpcs.LIST_DATASETS, request, "datasets", limit, timeout)

    def dataset(self, name: str, timeout: float | None) -> Flow[Dataset]:
        return self._one(rpcs.GET_DATASET, datasets_pb2.GetDatasetRequest(name=name), timeout)

    def delete_dataset(self, name: str, timeout: float | None) -> Flow[None]:
        request = datasets_pb2.DeleteDatasetRequest(name=name)
        return flows.send(rpcs.DELETE_DATASET, request, lambda _: None, self.retry, timeout)

    def forget(
        self,
        name: str,
        ids: Iterable[str],
        texts: Iterable[str],
        everywhere: bool,
        request_id: str | None,
        timeout: float | None,
    ) -> Flow[Forgotten]:
        request = requests.forget(name, ids, texts, everywhere, request_id or str(uuid.uuid4()))
        return self._one(rpcs.FORGET, request, timeout)

    def audit(self, name: str, domain: str, task: str, limit: int, timeout: float | None) -> Flow[Audit]:
        request = datasets_pb2.AuditRequest(dataset=name, domain=domain, task=task, limit=limit)
        return self._one(rpcs.AUDIT, request, timeout)

    # Domains

    def domains(self, timeout: float | None) -> Flow[list[Domain]]:
        request = domains_pb2.ListDomainsRequest()
        return flows.send(rpcs.LIST_DOMAINS, request, lambda found: list(map(read, found.domains)), self.retry, timeout)

    def domain(self, name: str, timeout: float | None) -> Flow[Domain]:
        return self._one(rpcs.GET_DOMAIN, domains_pb2.GetDomainRequest(name=name), timeout)
