"""The one file that knows every room: build, start, drain, stop."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import logging
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import grpc
import prometheus_client
from google.protobuf import __version__ as protobuf_version
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from candelabra import __version__, discovery, errors, log
from candelabra.adapt.advising import Advising
from candelabra.adapt.auditing import Auditing
from candelabra.adapt.care import Forgetting
from candelabra.adapt.encode import FeatureEncoder
from candelabra.adapt.keeper import Keeper
from candelabra.adapt.preparation import Preparation
from candelabra.adapt.process import TrainerProcess
from candelabra.adapt.service import Jobs
from candelabra.adapt.worker import Worker
from candelabra.backbones import resolve
from candelabra.drift import DriftWatch
from candelabra.engine.encoder import Encoder
from candelabra.engine.feature_cache import FeatureCache
from candelabra.engine.lane import Lane
from candelabra.engine.tokenizer import Tokenizer
from candelabra.engine.torch_encoder import TorchEncoder
from candelabra.gpu import GpuWatch
from candelabra.heads.head import Head
from candelabra.heads.library import Library
from candelabra.heads.shelf import Shelf
from candelabra.heads.store import HeadStore
from candelabra.limits import Limits
from candelabra.metrics import Metrics
from candelabra.predict import Predict
from candelabra.registry.registry import Registry
from candelabra.rpc.adaptation import Adaptation
from candelabra.rpc.datasets import Datasets
from candelabra.rpc.domains import Domains
from candelabra.rpc.doors import Doors
from candelabra.rpc.heads import Heads
from candelabra.rpc.health import Health
from candelabra.rpc.inference import Inference
from candelabra.rpc.layers import AccessLog, Counted, Layer, RequestId
from candelabra.settings import Settings
from candelabra.types import JobState
from candelabra.v1 import (
    adaptation_pb2_grpc,
    datasets_pb2_grpc,
    domains_pb2_grpc,
    heads_pb2_grpc,
    inference_pb2_grpc,
)

LOG = logging.getLogger("candelabra")

WATCH_SECONDS = 1.0
DRIFT_SECONDS = 10.0
KEPT_SECONDS = 60.0  # how soon goes what rows have left that another server forgot
ORPHAN_SECONDS = (
    3600.0  # a file without a registry row is left alone for so long: another server may be about to add it
)
CLOSE_SECONDS = 1.0  # for open streams and health watches to be told, after the drain


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is slow to get: made in a thread while the server says NOT_SERVING."""

    registry: Registry
    domains: dict[str, discovery.Found]
    encoder: Encoder
    tokenizer: Tokenizer
    folder: Path


class App:
    """One server process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.health = Health()
        self.limits = Limits(settings)
        # Order matters: the id is there for the log, the log and the metrics see the final code.
        layers: list[Layer] = [RequestId(), AccessLog(), Counted(self.metrics)]
        self.doors = Doors(layers, settings.max_message_bytes, settings.max_concurrent_calls)
        self.threads = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="tokenize")
        self.tasks: list[asyncio.Task[None]] = []
        self.owner = ""
        self.port = self.metrics_port = 0
        self.lane: Lane | None = None
        self.registry: Registry | None = None
        self._lock: IO[str] | None = None
        self._metrics_server: Any = None

    # Start

    async def start(self) -> None:
        """Listens at once, answers once everything is loaded."""
        self.settings.data.mkdir(parents=True, exist_ok=True)
        self._lock = take(self.settings.data)
        self.owner = owner_of(self.settings.data)
        self._standard_services()
        await self._listen()
        loaded = await asyncio.to_thread(load, self.settings)
        self.registry = loaded.registry
        self.metrics.know_backbone(loaded.encoder.info)
        await self._open(loaded)
        # What is loaded by now lives as long as the process: the collector need not walk it, which would stall calls.
        gc.collect()
        gc.freeze()
        self.doors.open()
        await self.health.say(self.doors.services, serving=True)
        self.metrics.ready.set(1)
        LOG.info(
            "serving",
            extra={
                "address": f"{self.settings.host}:{self.port}",
                "metrics": self.metrics_port,
                "backbone": loaded.encoder.info.fingerprint,
                "device": loaded.encoder.info.device,
                "domains": ",".join(sorted(loaded.domains)),
            },
        )

    def _standard_services(self) -> None:
        self.doors.add(health_pb2_grpc.add_HealthServicer_to_server, self.health, always=True)

    async def _listen(self) -> None:
        settings = self.settings
        self.server = grpc.aio.server(
            options=(
                # Larger than our own limit, so that a message over it gets our reason and not the library's.
                ("grpc.max_receive_message_length", 2 * settings.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            )
        )
        self.server.add_generic_rpc_handlers((self.doors,))
        address = f"{settings.host}:{settings.port}"
        try:
            self.port = self.server.add_insecure_port(address)
        except RuntimeError as error:
            raise errors.InvalidArgument(
                f"Cannot listen on {address}: another program may be using the port. Choose another with --port, or 0 "
                "for any free one."
            ) from error
        await self.server.start()
        self.metrics.build.info(
            {
                "version": __version__,
                "python": sys.version.split()[0],
                "grpc": grpc.__version__,
                "protobuf": protobuf_version,
            }
        )
        if settings.metrics_port >= 0:
            self._metrics_server, _ = prometheus_client.start_http_server(
                settings.metrics_port, settings.host, self.metrics.registry
            )
            self.metrics_port = self._metrics_server.server_port
        if settings.port_file:
            write_ports(Path(settings.port_file), self.port, self.metrics_port)
        LOG.info("listening", extra={"address": f"{settings.host}:{self.port}", "metrics": self.metrics_port})

    async def _open(self, loaded: Loaded) -> None:
        """Builds the rooms from the bottom up, then their services."""
        settings, metrics, registry = self.settings, self.metrics, loaded.registry
        backbone = loaded.encoder.info
        store = HeadStore(settings.data)
        shelf = Shelf(registry, store, Head.from_bytes, backbone.fingerprint, settings.head_cache_bytes, metrics)
        await asyncio.to_thread(shelf.refresh)
        cache = FeatureCache(settings.feature_cache_bytes, metrics)
        self.lane = Lane.of(loaded.encoder, settings, metrics, cache)
        self.lane.start()
        traffic = DriftWatch(metrics)
        predict = Predict(
            shelf,
            self.lane,
            loaded.tokenizer,
            backbone,
            loaded.domains,
            self.limits,
            self.threads,
            lambda version, head, vector, answer: traffic.observe(version.name, head, vector[None], answer[None]),
        )
        jobs = Jobs(registry, loaded.domains, self.limits, backbone, self.doors.draining)
        library = Library(registry, store, shelf, self.limits, metrics)
        encoder = FeatureEncoder(self.lane, loaded.tokenizer, self.threads)
        keeper = Keeper(registry, settings.data / "kept")
        forgetting = Forgetting(
            registry=registry,
            jobs=jobs,
            keeper=keeper,
            store=store,
            refresh=shelf.refresh,
            encoder=encoder,
            cache=cache,
            backbone=backbone,
            limits=self.limits,
            folder=settings.data / "certificates",
            retired=traffic.forget,
        )
        auditing = Auditing(registry, jobs, encoder, backbone, self.limits)
        advising = Advising(registry, jobs, backbone, loaded.folder, self.limits, settings)
        inference = Inference(predict, metrics, self.doors.draining, settings.default_deadline_seconds)
        self.doors.add(inference_pb2_grpc.add_InferenceServicer_to_server, inference)
        self.doors.add(adaptation_pb2_grpc.add_AdaptationServicer_to_server, Adaptation(jobs, advising))
        self.doors.add(heads_pb2_grpc.add_HeadsServicer_to_server, Heads(library, traffic))
        self.doors.add(
            datasets_pb2_grpc.add_DatasetsServicer_to_server, Datasets(registry, self.limits, forgetting, auditing)
        )
        self.doors.add(domains_pb2_grpc.add_DomainsServicer_to_server, Domains(loaded.domains))
        described = (*self.doors.services, reflection.SERVICE_NAME)
        self.doors.add(
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server,
            reflection.aio.ReflectionServicer(described),
            always=True,
        )
        metrics.know_methods(self.doors.methods())
        preparation = Preparation(
            registry=registry,
            store=store,
            encoder=encoder,
            backbone=backbone,
            backbone_path=loaded.folder,
            limits=self.limits,
            settings=settings,
            checked=jobs.checked,
        )
        for owner in self._owners():
            await asyncio.to_thread(registry.jobs.requeue, owner)
            trainer = TrainerProcess(settings.trainer_threads or max(1, (os.cpu_count() or 2) // 2), metrics)
            worker = Worker(
                owner=owner,
                registry=registry,
                jobs=jobs,
                store=store,
                shelf=shelf,
                preparation=preparation,
                keeper=keeper,
                backbone=backbone,
                trainer=trainer,
                settings=settings,
                metrics=metrics,
            )
            self._spawn(worker.run())
        self._spawn(forgetting.watch())
        self._spawn(shelf.warm())
        self._spawn(asyncio.to_thread(store.sweep, registry.heads.digests(), ORPHAN_SECONDS))
        self._spawn(every(KEPT_SECONDS, keeper.sweep))
        self._spawn(every(settings.registry_poll_seconds, shelf.refresh))
        self._spawn(every(WATCH_SECONDS, lambda: self._count_jobs(registry)))
        self._spawn(every(DRIFT_SECONDS, traffic.show))
        self._spawn(every(WATCH_SECONDS, GpuWatch(metrics).read))

    def _owners(self) -> list[str]:
        """The names under which this server's workers claim jobs."""
        return [f"{self.owner}.{number}" for number in range(self.settings.trainers)]

    def _count_jobs(self, registry: Registry) -> None:
        counts = registry.jobs.counts()
        for state in JobState:
            self.metrics.jobs.labels(state.value).set(counts.get(state, 0))

    def _spawn(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(_tell_failure)
        self.tasks.append(task)

    # Stop

    async def stop(self) -> bool:
        """Finishes what was accepted, refuses what is new. False: some calls had not ended in time."""
        LOG.info("draining", extra={"calls": self.doors.in_flight})
        self.metrics.ready.set(0)
        await self.health.say(self.doors.services, serving=False)
        drained = await self.doors.drain(self.settings.drain_seconds)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.server.stop(CLOSE_SECONDS)
        if self.lane:
            await self.lane.stop()
        if self.registry:
            for owner in self._owners():
                await asyncio.to_thread(self.registry.jobs.requeue, owner)
            self.registry.close()
        if self._metrics_server:
            self._metrics_server.shutdown()
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self._lock:
            self._lock.close()
        LOG.info("stopped", extra={"drained": drained})
        return drained


def load(settings: Settings) -> Loaded:
    """The slow part of a start: database, plugins, backbone."""
    registry = Registry.open(settings.database)
    domains = dict(discovery.load())
    backbone = resolve(settings.backbone, settings.cache, settings.window)
    tokenizer = Tokenizer.load(backbone, settings.window, settings.window_overlap, settings.max_windows)
    encoder = TorchEncoder.load(backbone, settings.device, settings.precision, settings.threads)
    return Loaded(registry, domains, encoder, tokenizer, backbone.path)


def take(folder: Path) -> IO[str]:
    """The lock on a data folder: two servers in one would each undo the other's jobs."""
    handle = (folder / "lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise errors.InvalidArgument(
            f"Another server is using the data folder {folder}: stop it, or give this one its own with --data-dir."
        ) from None
    return handle


def owner_of(folder: Path) -> str:
    """The name of this folder's server: the same after every restart."""
    path = folder / "owner"
    if not path.exists():
        path.write_text(uuid.uuid4().hex, encoding="ascii")
    return path.read_text("ascii")


def write_ports(path: Path, port: int, metrics_port: int) -> None:
    """Appears whole or not at all: somebody is waiting for it."""
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(json.dumps({"port": port, "metrics_port": metrics_port}), encoding="ascii")
    draft.replace(path)


def _tell_failure(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and (error := task.exception()):
        LOG.error("a part of the server has ended that should not have; this is a bug", exc_info=error)


async def every(seconds: float, act: Callable[[], object]) -> None:
    """Calls `act` in a thread, again and again; a failure is logged and tried again."""
    while True:
        try:
            await asyncio.to_thread(act)
        except Exception:
            LOG.exception("a regular task failed; trying again")
        await asyncio.sleep(seconds)


async def serve(settings: Settings) -> int:
    app = App(settings)
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    starting = asyncio.create_task(app.start())
    stopping = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        return 0
    starting.result()
    await stopping
    return 0 if await app.stop() else 1


def run(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT. The exit code: 0 after a clean drain, 1 otherwise."""
    log.configure(settings.log_level, settings.log_format)
    try:
        return asyncio.run(serve(settings))
    except errors.Error as error:
        LOG.error("cannot start", extra={"reason": error.reason, "error": error.message})
        return 1
