"""What Prometheus sees: one object, made once, its registry handed in, label sets made at zero.

No label takes its values from users (tenants, heads, texts): their number has no bound. Domains are few and
installed by the operator. The one exception, drift, shows the busiest heads only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from candelabra.types import BackboneInfo, JobState

STAGES = ("tokenize", "queue", "encode", "head")
CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)  # 1 ms .. 1 min
STAGE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)  # 0.1 ms .. 5 s
ADAPT_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)  # 0.1 s .. 30 min
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
BATCH_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class Metrics:
    """Every metric of the server. Methods say what happened; nobody else touches a metric."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        here = self.registry
        ProcessCollector(registry=here)
        PlatformCollector(registry=here)
        # Calls
        self.calls = Counter(
            "candelabra_calls", "Finished RPCs by method and gRPC status code.", ["method", "code"], registry=here
        )
        self.call_errors = Counter(
            "candelabra_call_errors",
            "RPCs that ended in an error, by machine-readable reason.",
            ["method", "reason"],
            registry=here,
        )
        self.calls_in_flight = Gauge(
            "candelabra_calls_in_flight", "RPCs being answered now.", ["method"], registry=here
        )
        self.call_seconds = Histogram(
            "candelabra_call_seconds",
            "Time of a whole RPC, streams excluded.",
            ["method"],
            buckets=CALL_SECONDS,
            registry=here,
        )
        self.stage_seconds = Histogram(
            "candelabra_stage_seconds",
            "Time of a Predict or Embed in each stage.",
            ["stage"],
            buckets=STAGE_SECONDS,
            registry=here,
        )
        self.predictions = Counter(
            "candelabra_predictions", "Answers given: inputs times heads.", ["domain"], registry=here
        )
        # The engine
        self.batch_rows = Histogram(
            "candelabra_batch_rows", "Texts in one batch of the engine.", ["work"], buckets=BATCH_ROWS, registry=here
        )
        self.batch_tokens = Histogram(
            "candelabra_batch_tokens",
            "Tokens in one batch, padding excluded.",
            ["work"],
            buckets=BATCH_TOKENS,
            registry=here,
        )
        self.tokens = Counter("candelabra_tokens", "Tokens that went through the encoder.", ["work"], registry=here)
        self.padding = Counter(
            "candelabra_padding_tokens", "Padding that went through the encoder: waste.", ["work"], registry=here
        )
        self.queue_rows = Gauge("candelabra_queue_rows", "Texts waiting for the encoder.", ["work"], registry=here)
        self.queue_tokens = Gauge("candelabra_queue_tokens", "Tokens waiting for the encoder.", ["work"], registry=here)
        self.dropped_rows = Counter(
            "candelabra_dropped_rows", "Texts dropped from the queue before encoding.", ["reason"], registry=here
        )
        self.truncated = Counter("candelabra_truncated_texts", "Texts whose end was not read.", registry=here)
        # Features seen before
        self.cache_hits = Counter(
            "candelabra_feature_cache_hits", "Texts whose features were in the cache.", registry=here
        )
        self.cache_misses = Counter("candelabra_feature_cache_misses", "Texts that had to be encoded.", registry=here)
        self.cache_bytes = Gauge("candelabra_feature_cache_bytes", "Memory held by the feature cache.", registry=here)
        # Heads
        self.heads_registered = Gauge(
            "candelabra_heads_registered", "Head versions known to this server.", registry=here
        )
        self.heads_resident = Gauge("candelabra_heads_resident", "Head versions in memory.", registry=here)
        self.heads_bytes = Gauge("candelabra_heads_resident_bytes", "Memory held by heads.", registry=here)
        self.head_loads = Counter("candelabra_head_loads", "Heads read from the store.", ["outcome"], registry=here)
        self.head_evictions = Counter("candelabra_head_evictions", "Heads that made room for others.", registry=here)
        self.head_load_seconds = Histogram(
            "candelabra_head_load_seconds", "Time to read and check one head.", buckets=STAGE_SECONDS, registry=here
        )
        self.alias_moves = Counter(
            "candelabra_alias_moves", "Promotions, roll-backs and other moves of an alias.", registry=here
        )
        # Jobs
        self.jobs = Gauge("candelabra_jobs", "Jobs by state.", ["state"], registry=here)
        self.adapt_seconds = Histogram(
            "candelabra_adapt_seconds",
            "Time from start to end of a job.",
            ["method"],
            buckets=ADAPT_SECONDS,
            registry=here,
        )
        self.adapt_phase_seconds = Counter(
            "candelabra_adapt_phase_seconds", "Time that jobs spent in each phase.", ["phase"], registry=here
        )
        self.trainer_restarts = Counter(
            "candelabra_trainer_restarts", "Training processes started after a crash or stop.", registry=here
        )
        # The traffic
        self.head_drift = Gauge(
            "candelabra_head_drift",
            "Kolmogorov-Smirnov distance of recent texts from the training texts, of the 100 busiest head versions.",
            ["head"],
            registry=here,
        )
        # The device
        self.gpu_utilization = Gauge(
            "candelabra_gpu_utilization_ratio", "Share of time the GPU was busy.", ["gpu"], registry=here
        )
        self.gpu_memory_used = Gauge("candelabra_gpu_memory_used_bytes", "GPU memory in use.", ["gpu"], registry=here)
        self.gpu_memory_total = Gauge("candelabra_gpu_memory_total_bytes", "GPU memory.", ["gpu"], registry=here)
        self.gpu_temperature = Gauge("candelabra_gpu_temperature_celsius", "GPU temperature.", ["gpu"], registry=here)
        self.gpu_power = Gauge("candelabra_gpu_power_watts", "GPU power draw.", ["gpu"], registry=here)
        # The process
        self.ready = Gauge("candelabra_ready", "1 while the server takes calls.", registry=here)
        self.build = Info("candelabra_build", "Version of the server and of its main libraries.", registry=here)
        self.backbone = Info("candelabra_backbone", "The encoder in memory.", registry=here)
        self._zero()

    def _zero(self) -> None:
        for stage in STAGES:
            self.stage_seconds.labels(stage)
        for work in ("predict", "adapt"):
            for metric in (
                self.batch_rows, self.batch_tokens, self.tokens, self.padding, self.queue_rows, self.queue_tokens
            ):  # fmt: skip
                metric.labels(work)
        for reason in ("cancelled", "deadline"):
            self.dropped_rows.labels(reason)
        for state in JobState:
            self.jobs.labels(state.value)
        for outcome in ("ok", "error"):
            self.head_loads.labels(outcome)

    def show_drift(self, statistics: Mapping[str, float]) -> None:
        """Of these head versions and no others; the caller keeps them few."""
        self.head_drift.clear()
        for head, statistic in statistics.items():
            self.head_drift.labels(head).set(statistic)

    def know_methods(self, methods: Iterable[str]) -> None:
        """Makes the label sets of these RPCs ("Service/Method") at zero."""
        for method in methods:
            self.calls.labels(method, "OK")
            self.calls_in_flight.labels(method)
            self.call_seconds.labels(method)

    def know_backbone(self, info: BackboneInfo) -> None:
        self.backbone.info(
            {
                "name": info.name,
                "fingerprint": info.fingerprint,
                "device": info.device,
                "precision": info.precision,
                "engine": info.engine,
                "window": str(info.window),
            }
        )
