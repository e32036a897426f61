"""Heads in memory, within a limit of bytes: the least recently used make room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from candelabra.heads.head import Head
from candelabra.metrics import Metrics


class Resident:
    """Loaded heads by digest. Safe for threads. A head that was handed out lives on with whoever holds it."""

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._heads)

    @property
    def nbytes(self) -> int:
        return self._bytes

    def has_room(self, nbytes: int) -> bool:
        return self._bytes + nbytes <= self._max_bytes

    def get(self, digest: str) -> Head | None:
        with self._lock:
            head = self._heads.get(digest)
            if head is not None:
                self._heads.move_to_end(digest)
            return head

    def put(self, digest: str, head: Head) -> None:
        """The newest always stays, even if it is larger than the limit: it is needed now."""
        with self._lock:
            if digest in self._heads:
                return
            self._heads[digest] = head
            self._bytes += head.nbytes
            while self._bytes > self._max_bytes and len(self._heads) > 1:
                _, evicted = self._heads.popitem(last=False)
                self._bytes -= evicted.nbytes
                self._metrics.head_evictions.inc()
            self._show()

    def drop(self, digests: Iterable[str]) -> None:
        with self._lock:
            for digest in digests:
                if (head := self._heads.pop(digest, None)) is not None:
                    self._bytes -= head.nbytes
            self._show()

    def _show(self) -> None:
        self._metrics.heads_resident.set(len(self._heads))
        self._metrics.heads_bytes.set(self._bytes)
