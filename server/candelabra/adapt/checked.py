"""Training sets that were checked when their job was asked for, handed on to the worker that runs it."""

from __future__ import annotations

from collections import OrderedDict

from candelabra.adapt.material import Material

MOST = 4
"""Of jobs that wait behind so many others the rows are read and checked again."""


class Checked:
    """By job, each with the number of rows that its dataset had lost by then. For one thread."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[int, Material]] = OrderedDict()

    def put(self, job: str, lost: int, data: Material) -> None:
        self._held[job] = (lost, data)
        while len(self._held) > MOST:
            self._held.popitem(last=False)

    def take(self, job: str, lost: int) -> Material | None:
        """Once, and only where the dataset has not lost a row since."""
        before, data = self._held.pop(job, (-1, None))
        return data if before == lost else None

    def clear(self) -> None:
        """Texts that were forgotten must not be left here."""
        self._held.clear()
