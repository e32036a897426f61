"""Features of texts seen before, bounded by bytes; the least recently used make room."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from candelabra.engine.window import Window
from candelabra.metrics import Metrics
from candelabra.types import Slot

_SALT = secrets.token_bytes(32)
OVERHEAD = 400  # bytes of Python objects around one entry, about


def cache_key(tenant: str, windows: Sequence[Window]) -> bytes:
    """Names what the encoder reads for a tenant: ids, and where a second text begins.

    Keyed anew in every process: it tells nothing about the text. The tenant is part of it, so that nobody can learn
    by timing what another tenant has asked.
    """
    digest = hashlib.blake2b(key=_SALT, digest_size=16)
    digest.update(f"{tenant}\0{len(windows)}".encode())
    for window in windows:
        digest.update(b"\0%d,%d\0" % (len(window.ids), window.second))
        digest.update(np.ascontiguousarray(window.ids, dtype=np.int32).data)
    return digest.digest()


class FeatureCache:
    """Thread-safe. `capacity` 0 turns it off."""

    def __init__(self, capacity: int, metrics: Metrics | None = None) -> None:
        self.capacity = capacity
        self.metrics = metrics
        self.bytes = 0
        self._entries: OrderedDict[bytes, Mapping[Slot, np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, slots: Collection[Slot]) -> Mapping[Slot, np.ndarray] | None:
        """The vectors, if every one of `slots` is there."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and all(slot in entry for slot in slots):
                self._entries.move_to_end(key)
            else:
                entry = None
        if self.metrics and self.capacity:
            (self.metrics.cache_misses if entry is None else self.metrics.cache_hits).inc()
        return entry

    def fill(self, keys: Sequence[bytes], slots: Sequence[Slot], into: np.ndarray) -> np.ndarray:
        """Puts what is known into the rows of `into` [keys, slots, dimension]; gives the places of the others."""
        unknown = []
        with self._lock:
            for at, key in enumerate(keys):
                entry = self._entries.get(key, {})
                vectors = [entry[slot] for slot in slots if slot in entry]
                if len(vectors) == len(slots):
                    self._entries.move_to_end(key)
                    np.concatenate(vectors, out=into[at].reshape(-1))
                else:
                    unknown.append(at)
        if self.metrics:
            self.metrics.cache_hits.inc(len(keys) - len(unknown))
        return np.array(unknown, np.int64)

    def put(self, key: bytes, vectors: Mapping[Slot, np.ndarray]) -> None:
        """Adds these vectors to those known of the text."""
        if not self.capacity:
            return
        with self._lock:
            known = self._entries.pop(key, {})
            self.bytes -= _size(known)
            # Copies: a view would keep the arrays of the whole batch alive.
            merged = {**known, **{slot: vector.copy() for slot, vector in vectors.items() if slot not in known}}
            self._entries[key] = merged
            self.bytes += _size(merged)
            while self.bytes > self.capacity:
                _, oldest = self._entries.popitem(last=False)
                self.bytes -= _size(oldest)
        if self.metrics:
            self.metrics.cache_bytes.set(self.bytes)

    def drop(self, keys: Iterable[bytes]) -> int:
        """Forgets these texts; gives how many of them were known."""
        gone = 0
        with self._lock:
            for key in keys:
                if (known := self._entries.pop(key, None)) is not None:
                    self.bytes -= _size(known)
                    gone += 1
        if self.metrics and gone:
            self.metrics.cache_bytes.set(self.bytes)
        return gone


def _size(entry: Mapping[Slot, np.ndarray]) -> int:
    return OVERHEAD + sum(vector.nbytes + 100 for vector in entry.values()) if entry else 0
