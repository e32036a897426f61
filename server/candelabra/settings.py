"""Settings: one frozen value, read once from the environment, passed in.

Every field is the environment variable CANDELABRA_<FIELD IN CAPITALS>, and the flag --field-name of
`candelabra serve`. The comment above each field says what it does; docs/operations.md lists them all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from platformdirs import user_cache_dir, user_data_dir

from candelabra.errors import InvalidArgument

PREFIX = "CANDELABRA_"


def setting(default: Any, help: str) -> Any:  # noqa: A002 - the word that command lines use
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All that can be set. Times are in seconds, sizes in bytes unless the name says otherwise."""

    # Where it listens
    host: str = setting("127.0.0.1", "Address to listen on. Loopback by default: there is no authentication.")
    port: int = setting(8001, "gRPC port; 0 takes a free one.")
    metrics_port: int = setting(8002, "Prometheus port; 0 takes a free one, -1 turns it off.")
    port_file: str = setting("", "File that gets the two ports as JSON once the server listens.")

    # Where things are kept
    data_dir: str = setting("", "Folder of heads, jobs and the SQLite database; empty: the user's data folder.")
    cache_dir: str = setting("", "Folder of downloaded backbones; empty: the user's cache folder.")
    database_url: str = setting("", "SQLAlchemy URL; empty: SQLite in data_dir. postgresql+psycopg://… for PostgreSQL.")

    # The encoder
    backbone: str = setting("all-MiniLM-L6-v2", "Name in the catalogue, or a folder that transformers can load.")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N. auto: CUDA where there is one.")
    precision: str = setting(
        "auto", "auto, fp32, bf16 or fp16. auto: fp32 on CPU; on CUDA bf16 if the device has it, else fp16."
    )
    threads: int = setting(0, "CPU threads of the encoder; 0: one a core.")
    window: int = setting(0, "Tokens read at once; 0: the backbone's own window.")
    window_overlap: int = setting(32, "Tokens that neighbouring windows of a long text share.")
    max_windows: int = setting(32, "Windows a text; what lies beyond is cut and the answer says so.")

    # Batching
    batch_tokens: int = setting(4096, "Tokens in a batch of Predict, padding included.")
    batch_padding_percent: int = setting(10, "Padding tolerated in one forward pass, in percent of its tokens.")
    background_tokens: int = setting(1024, "Tokens in a batch of Adapt while no Predict is waiting or expected.")
    background_tokens_busy: int = setting(128, "Tokens in a batch of Adapt while Predict calls arrive.")
    queue_tokens: int = setting(262144, "Tokens waiting for the encoder; beyond it new calls are refused at once.")
    feature_cache_bytes: int = setting(
        512 * 1024**2, "Memory for features of texts seen before; 0 turns the cache off."
    )

    # Heads
    head_cache_bytes: int = setting(2 * 1024**3, "Memory for loaded heads; the least recently used make room.")
    registry_poll_seconds: float = setting(
        1.0, "How often to look for changes made by other servers on the same database."
    )

    # Adapt
    trainers: int = setting(1, "Training processes kept warm, and jobs trained at the same time.")
    trainer_threads: int = setting(
        0, "CPU threads of a training process; 0: half of the cores, the rest is for Predict."
    )
    auto_seconds: float = setting(60.0, "What a job without a method may spend on racing methods.")
    max_state_bytes: int = setting(
        4 * 1024**3, "Disk for token states of one job; beyond it AUTO leaves out the methods that read tokens."
    )
    job_timeout_seconds: float = setting(3600.0, "Longest time a job may train.")
    job_lease_seconds: float = setting(15.0, "A running job whose server is silent for so long is taken over.")
    # Only a death of the server counts, for that of a trainer ends its job at once: so the limit is generous.
    job_attempts: int = setting(100, "Starts of one job, each ended by the server's own death, before it is given up.")
    max_queued_jobs: int = setting(1000, "Jobs of one tenant waiting or running.")

    # Limits of one request
    max_message_bytes: int = setting(16 * 1024**2, "Size of one gRPC message.")
    max_text_chars: int = setting(100_000, "Characters in one text.")
    max_inputs: int = setting(256, "Inputs in one Predict or Embed.")
    max_heads: int = setting(64, "Heads in one Predict.")
    max_labels: int = setting(1000, "Labels of one head.")
    max_label_chars: int = setting(200, "Characters in one label.")
    max_inline_examples: int = setting(20_000, "Examples inside one Adapt request.")
    max_dataset_rows: int = setting(50_000, "Rows of one dataset; a training takes about 180 kB of memory for each.")
    max_archive_bytes: int = setting(256 * 1024**2, "Size of an imported head file.")
    max_page_size: int = setting(1000, "Items on one page of a list.")
    max_concurrent_calls: int = setting(4096, "Calls being answered; beyond it new ones are refused at once.")
    default_deadline_seconds: float = setting(60.0, "Deadline of a Predict or Embed whose caller set none.")

    # Running
    drain_seconds: float = setting(30.0, "Longest time to finish accepted calls after SIGTERM.")
    log_format: str = setting("text", "text or json.")
    log_level: str = setting("info", "debug, info, warning or error.")

    def __post_init__(self) -> None:
        choices = {
            "precision": ("auto", "fp32", "bf16", "fp16"),
            "log_format": ("text", "json"),
            "log_level": ("debug", "info", "warning", "error"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InvalidArgument(
                    f"The setting {name} is {getattr(self, name)!r}: use one of {', '.join(allowed)}.", setting=name
                )
        may_be_zero = {
            "port", "threads", "window", "window_overlap", "trainer_threads", "feature_cache_bytes",
            "batch_padding_percent",
        }  # fmt: skip
        for spec in fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, str) or spec.name == "metrics_port":
                continue
            if value < 0 or (value == 0 and spec.name not in may_be_zero):
                raise InvalidArgument(f"The setting {spec.name} is {value}: use a positive number.", setting=spec.name)

    @property
    def data(self) -> Path:
        return Path(self.data_dir or user_data_dir("candelabra"))

    @property
    def cache(self) -> Path:
        return Path(self.cache_dir or user_cache_dir("candelabra"))

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data / 'registry.sqlite3'}"


def read(overrides: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment, with `overrides` (flags; None means not given) on top."""
    values: dict[str, object] = {}
    kinds = {spec.name: type(spec.default) for spec in fields(Settings) if spec.default is not MISSING}
    for name, kind in kinds.items():
        variable = PREFIX + name.upper()
        if variable in environ:
            try:
                values[name] = kind(environ[variable])
            except ValueError:
                raise InvalidArgument(
                    f"{variable} is {environ[variable]!r}: a {kind.__name__} is needed.", setting=name
                ) from None
    values.update({key: value for key, value in (overrides or {}).items() if value is not None})
    return Settings(**values)  # type: ignore[arg-type]
