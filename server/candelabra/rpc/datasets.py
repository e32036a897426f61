"""Datasets: append, list, show, delete, forget, audit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from candelabra.adapt.auditing import Auditing
from candelabra.adapt.care import Forgetting
from candelabra.errors import NoExamples
from candelabra.limits import Limits
from candelabra.registry.registry import Registry
from candelabra.rpc import care, convert
from candelabra.rpc.examples import examples as examples_of
from candelabra.types import Example, OwnedName, check_name
from candelabra.v1 import datasets_pb2, datasets_pb2_grpc


class Datasets(datasets_pb2_grpc.DatasetsServicer):
    def __init__(self, registry: Registry, limits: Limits, forgetting: Forgetting, auditing: Auditing) -> None:
        self.registry = registry
        self.limits = limits
        self.forgetting = forgetting
        self.auditing = auditing

    async def AppendExamples(
        self, requests: AsyncIterator[datasets_pb2.AppendExamplesRequest], context: Any
    ) -> datasets_pb2.AppendExamplesResponse:
        name, request_id = "", ""
        examples: list[Example] = []
        async for request in requests:
            name, request_id = name or request.dataset, request_id or request.request_id
            coming = examples_of(request.examples)
            self.limits.within("max_dataset_rows", len(examples) + len(coming), "Rows in one append")
            for index, example in enumerate(coming, start=len(examples)):
                self.limits.example(example, f"examples[{index}]")
            examples += coming
        dataset = OwnedName.parse(name, "dataset")
        if not examples:
            raise NoExamples("The stream carried no examples: send some.", field="examples")
        maximum = self.limits.settings.max_dataset_rows
        info, appended = await asyncio.to_thread(self.registry.datasets.append, dataset, examples, request_id, maximum)
        return datasets_pb2.AppendExamplesResponse(dataset=convert.dataset(info), appended=appended)

    async def ListDatasets(
        self, request: datasets_pb2.ListDatasetsRequest, context: Any
    ) -> datasets_pb2.ListDatasetsResponse:
        tenant = check_name("tenant", request.tenant) if request.tenant else None
        size = self.limits.page(request.page_size)
        page = await asyncio.to_thread(self.registry.datasets.list, tenant, size, request.page_token)
        return datasets_pb2.ListDatasetsResponse(
            datasets=[convert.dataset(info) for info in page.items], next_page_token=page.next_token
        )

    async def GetDataset(self, request: datasets_pb2.GetDatasetRequest, context: Any) -> datasets_pb2.Dataset:
        return convert.dataset(await asyncio.to_thread(self.registry.datasets.get, self._name(request.name)))

    async def DeleteDataset(
        self, request: datasets_pb2.DeleteDatasetRequest, context: Any
    ) -> datasets_pb2.DeleteDatasetResponse:
        await self.forgetting.delete(self._name(request.name))
        return datasets_pb2.DeleteDatasetResponse()

    async def Forget(self, request: datasets_pb2.ForgetRequest, context: Any) -> datasets_pb2.ForgetResponse:
        name = self._name(request.dataset)
        done = await self.forgetting(
            name, list(request.ids), list(request.texts), request.request_id, request.everywhere
        )
        return care.forgotten(done)

    async def Audit(self, request: datasets_pb2.AuditRequest, context: Any) -> datasets_pb2.AuditResponse:
        name = self._name(request.dataset)
        return care.audit(await self.auditing(name, request.domain, request.task, request.limit))

    @staticmethod
    def _name(name: str) -> OwnedName:
        return OwnedName.parse(name, "dataset")
