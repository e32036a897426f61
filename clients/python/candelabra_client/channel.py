"""How both faces connect: address, options of the channel, metadata of every call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from candelabra_client.version import __version__

DEFAULT_ADDRESS = "127.0.0.1:8001"
MAX_MESSAGE_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Connection:
    """What a client is made with; see `Client`."""

    address: str = DEFAULT_ADDRESS
    credentials: grpc.ChannelCredentials | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    max_message_bytes: int = MAX_MESSAGE_BYTES

    def options(self) -> list[tuple[str, Any]]:
        return [
            # What may be sent is the server's to say: it answers with a reason.
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            # A watcher may hear nothing for minutes; a middlebox must not forget it, and a dead server is noticed.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # A restarted server is found soon; gRPC's own default backs off to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # Retries are ours: only where repeating is safe, and the server's pause is kept.
            ("grpc.enable_retries", 0),
            ("grpc.primary_user_agent", f"candelabra-client/{__version__}"),
        ]

    def open(self, module: Any) -> Any:
        """A channel of `grpc` or of `grpc.aio`."""
        if self.credentials is None:
            return module.insecure_channel(self.address, options=self.options())
        return module.secure_channel(self.address, self.credentials, options=self.options())

    def call_metadata(self) -> list[tuple[str, str]]:
        return list(self.metadata.items())
