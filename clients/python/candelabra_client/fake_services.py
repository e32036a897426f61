"""The services of `testing.FakeServer`: the contract's shapes, answered from a few dictionaries."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc

from candelabra_client.fake_store import Refusal, Store, page
from candelabra_client.v1 import (
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


class Inference(inference_pb2_grpc.InferenceServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    def Predict(self, request: inference_pb2.PredictRequest, context: Any) -> inference_pb2.PredictResponse:
        time.sleep(self._store.delay)
        heads = [self._store.resolve(head) for head in request.heads]
        results = [
            inference_pb2.InputResult(predictions=[_prediction(item.text, head.name) for head in heads])
            for item in request.inputs
        ]
        return inference_pb2.PredictResponse(
            id=request.id,
            heads=heads,
            results=results,
            backbone="sha256:backbone",
            timings=inference_pb2.Timings(encode=0.002, total=0.003),
        )

    def PredictStream(self, requests: Iterator[Any], context: Any) -> Iterator[inference_pb2.PredictResponse]:
        for request in requests:
            try:
                yield self.Predict(request, context)
            except Refusal as refusal:
                error = inference_pb2.StreamError(
                    code=refusal.code.value[0],
                    message=refusal.message,
                    reason=refusal.reason,
                    metadata=refusal.metadata,
                )
                yield inference_pb2.PredictResponse(id=request.id, error=error)

    def Embed(self, request: inference_pb2.EmbedRequest, context: Any) -> inference_pb2.EmbedResponse:
        embeddings = [
            inference_pb2.Embedding(values=[float(len(item.text)), 1.0], windows=1, tokens=3) for item in request.inputs
        ]
        return inference_pb2.EmbedResponse(embeddings=embeddings, backbone="sha256:backbone")

    def GetBackbone(self, request: Any, context: Any) -> inference_pb2.Backbone:
        return inference_pb2.Backbone(name="fake", fingerprint="sha256:backbone", layers=2, dimension=2, window=16)


def _prediction(text: str, head: str) -> inference_pb2.Prediction:
    first, second = ("long", "short") if len(text) > 20 else ("short", "long")
    scores = [
        common_pb2.LabelScore(label=first, probability=0.75),
        common_pb2.LabelScore(label=second, probability=0.25),
    ]
    return inference_pb2.Prediction(
        head=head, labels=scores[:1], scores=scores, values={"characters": float(len(text))}, windows=1, tokens=5
    )


class Adaptation(adaptation_pb2_grpc.AdaptationServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    def Adapt(self, request: adaptation_pb2.AdaptRequest, context: Any) -> adaptation_pb2.AdaptJob:
        tenant, store = request.head.partition("/")[0], self._store
        if not request.examples.examples and not request.dataset:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "NO_EXAMPLES", "The request has no examples: send some.")
        name = f"{tenant}/jobs/{request.request_id}"
        if name not in store.jobs:
            store.requests[name] = request
            store.jobs[name] = adaptation_pb2.AdaptJob(
                name=name, head=request.head, state=adaptation_pb2.QUEUED, request_id=request.request_id
            )
        if request.wait:
            self._end(store.jobs[name])
        return store.jobs[name]

    def GetJob(self, request: adaptation_pb2.GetJobRequest, context: Any) -> adaptation_pb2.AdaptJob:
        if request.name not in self._store.jobs:
            raise Refusal(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", f"There is no job {request.name!r}.")
        return self._store.jobs[request.name]

    def ListJobs(self, request: adaptation_pb2.ListJobsRequest, context: Any) -> adaptation_pb2.ListJobsResponse:
        jobs, token = page(list(self._store.jobs.values())[::-1], request)
        return adaptation_pb2.ListJobsResponse(jobs=jobs, next_page_token=token)

    def WatchJob(self, request: adaptation_pb2.WatchJobRequest, context: Any) -> Iterator[adaptation_pb2.JobEvent]:
        store, job = self._store, self.GetJob(adaptation_pb2.GetJobRequest(name=request.name), context)
        sent = 0
        for sequence, phase in enumerate(store.phases, 1):
            if sequence <= request.after:
                continue
            if store.break_after == sent:
                store.break_after = None
                raise Refusal(grpc.StatusCode.UNAVAILABLE, "", "Socket closed")
            sent += 1
            progress = adaptation_pb2.Progress(phase=phase, step=sequence, total=len(store.phases), loss=1 / sequence)
            yield adaptation_pb2.JobEvent(sequence=sequence, state=adaptation_pb2.RUNNING, progress=progress)
        self._end(job)
        yield adaptation_pb2.JobEvent(sequence=len(store.phases) + 1, state=job.state, job=job)

    def _end(self, job: adaptation_pb2.AdaptJob) -> None:
        if job.state not in (adaptation_pb2.QUEUED, adaptation_pb2.RUNNING):
            return
        job.state = self._store.ends_as
        if job.state == adaptation_pb2.SUCCEEDED:
            version = self._store.add_version(job.head)
            self._store.move(job.head, version)
            job.head_version = f"{job.head}@{version}"
            job.report.metric = "accuracy"
            job.report.scores.add(metric="accuracy", value=0.9, low=0.8, high=0.95)
        else:
            job.error.reason, job.error.message = "GATE_REFUSED", "The new version is worse: send more examples."

    def CancelJob(self, request: adaptation_pb2.CancelJobRequest, context: Any) -> adaptation_pb2.AdaptJob:
        job = self.GetJob(adaptation_pb2.GetJobRequest(name=request.name), context)
        if job.state in (adaptation_pb2.QUEUED, adaptation_pb2.RUNNING):
            job.state = adaptation_pb2.CANCELLED
        return job


class Heads(heads_pb2_grpc.HeadsServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    def ListHeads(self, request: heads_pb2.ListHeadsRequest, context: Any) -> heads_pb2.ListHeadsResponse:
        names = [name for name in sorted(self._store.versions) if name.startswith(request.tenant)]
        heads, token = page([self._store.head(name) for name in names], request)
        return heads_pb2.ListHeadsResponse(heads=heads, next_page_token=token)

    def GetHead(self, request: heads_pb2.GetHeadRequest, context: Any) -> heads_pb2.Head:
        return self._store.head(request.name)

    def ListVersions(self, request: heads_pb2.ListVersionsRequest, context: Any) -> heads_pb2.ListVersionsResponse:
        newest = range(self._store.head(request.name).latest_version, 0, -1)
        versions, token = page([self._store.version(f"{request.name}@{number}") for number in newest], request)
        return heads_pb2.ListVersionsResponse(versions=versions, next_page_token=token)

    def GetVersion(self, request: heads_pb2.GetVersionRequest, context: Any) -> heads_pb2.HeadVersion:
        return self._store.version(request.name)

    def SetAlias(self, request: heads_pb2.SetAliasRequest, context: Any) -> heads_pb2.Head:
        version, name = self._store.version(request.name), request.name.partition("@")[0]
        if request.HasField("expected_version") and request.expected_version != self._store.live.get(name, 0):
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "ALIAS_MOVED", "The alias points elsewhere now.")
        self._store.move(name, version.version)
        return self._store.head(name)

    def RollBack(self, request: heads_pb2.RollBackRequest, context: Any) -> heads_pb2.Head:
        if request.name not in self._store.before:
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION, "NO_EARLIER_VERSION", "The alias never pointed elsewhere."
            )
        self._store.live[request.name] = self._store.before.pop(request.name)
        return self._store.head(request.name)

    def DeleteAlias(self, request: heads_pb2.DeleteAliasRequest, context: Any) -> heads_pb2.Head:
        self._store.live.pop(request.name, None)
        return self._store.head(request.name)

    def DeleteHead(self, request: heads_pb2.DeleteHeadRequest, context: Any) -> heads_pb2.DeleteHeadResponse:
        name = self._store.head(request.name.partition("@")[0]).name
        count = self._store.versions.pop(name)
        return heads_pb2.DeleteHeadResponse(deleted=[f"{name}@{number}" for number in range(1, count + 1)])

    def ExportHead(self, request: heads_pb2.ExportHeadRequest, context: Any) -> Iterator[heads_pb2.ExportHeadResponse]:
        content = self._store.files.get(request.name, self._store.resolve(request.name).digest.encode())
        for start in range(0, len(content), 10):
            yield heads_pb2.ExportHeadResponse(chunk=content[start : start + 10])

    def ImportHead(self, requests: Iterator[heads_pb2.ImportHeadRequest], context: Any) -> heads_pb2.HeadVersion:
        messages = list(requests)
        name = messages[0].name
        full = f"{name}@{self._store.add_version(name)}"
        self._store.files[full] = b"".join(message.chunk for message in messages)
        return self._store.version(full)


class Datasets(datasets_pb2_grpc.DatasetsServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    def AppendExamples(self, requests: Iterator[Any], context: Any) -> datasets_pb2.AppendExamplesResponse:
        messages = list(requests)
        name, request_id = messages[0].dataset, messages[0].request_id
        examples = [example for message in messages for example in message.examples]
        rows = self._store.datasets.setdefault(name, [])
        if request_id not in self._store.uploads:
            rows.extend(examples)
            self._store.uploads[request_id] = len(messages)
        return datasets_pb2.AppendExamplesResponse(dataset=self._dataset(name), appended=len(examples))

    def _dataset(self, name: str) -> datasets_pb2.Dataset:
        if name not in self._store.datasets:
            raise Refusal(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND", f"There is no dataset {name!r}.")
        rows = self._store.datasets[name]
        counts = Counter(label for row in rows for label in row.labels)
        return datasets_pb2.Dataset(name=name, rows=len(rows), label_counts=counts)

    def ListDatasets(self, request: Any, context: Any) -> datasets_pb2.ListDatasetsResponse:
        datasets, token = page([self._dataset(name) for name in sorted(self._store.datasets)], request)
        return datasets_pb2.ListDatasetsResponse(datasets=datasets, next_page_token=token)

    def GetDataset(self, request: Any, context: Any) -> datasets_pb2.Dataset:
        return self._dataset(request.name)

    def DeleteDataset(self, request: Any, context: Any) -> datasets_pb2.DeleteDatasetResponse:
        self._dataset(request.name)
        del self._store.datasets[request.name]
        return datasets_pb2.DeleteDatasetResponse()


class Domains(domains_pb2_grpc.DomainsServicer):
    general = domains_pb2.Domain(
        name="general",
        distribution="candelabra",
        version="0.1.0",
        description="Any text.",
        tasks=[domains_pb2.DomainTask(name="classification", kind=common_pb2.SINGLE_LABEL, metric="accuracy")],
    )

    def ListDomains(self, request: Any, context: Any) -> domains_pb2.ListDomainsResponse:
        return domains_pb2.ListDomainsResponse(domains=[self.general])

    def GetDomain(self, request: Any, context: Any) -> domains_pb2.Domain:
        if request.name != "general":
            raise Refusal(grpc.StatusCode.NOT_FOUND, "DOMAIN_NOT_FOUND", f"There is no domain {request.name!r}.")
        return self.general
