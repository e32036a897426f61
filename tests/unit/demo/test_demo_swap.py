"""The demo's stream notices when versions mix, when one text gets two answers, and when the stream breaks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from candelabra_client import Answer, Answers, Prediction

Versions = Callable[[int], tuple[int, float]]


class FakeClient:
    """Answers the n-th request with the version and the score that `versions` names."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def predict_stream(self, items: Iterable[str], heads: Sequence[str]) -> Iterator[Answers]:
        for at, _ in enumerate(items):
            version, score = self._versions(at)
            said = Prediction(f"a/b@{version}", f"sha256:{version}", ("x",), (score,), {"x": score, "y": 1 - score})
            yield Answers((Answer((said,)),))


@pytest.fixture
def stream(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Versions], Any]]:
    monkeypatch.syspath_prepend(root)
    from demo import swap

    monkeypatch.setattr(swap, "EACH", 20)
    monkeypatch.setattr(swap, "PATIENCE", 5.0)
    yield lambda versions: swap.Stream(FakeClient(versions), "a/b", ["one", "two"])  # type: ignore[arg-type]
    for name in [name for name in sys.modules if name == "demo" or name.startswith("demo.")]:
        del sys.modules[name]


def test_a_clean_swap_is_two_runs(stream: Callable[[Versions], Any]) -> None:
    with stream(lambda at: (1, 0.9) if at < 50 else (2, 0.6)) as watched:
        watched.wait_for(2)
    assert watched.runs[0] == (1, 50)
    assert watched.digests == {1: "sha256:1", 2: "sha256:2"}
    watched.check(expected=[1, 2])


def test_versions_that_alternate_are_noticed(stream: Callable[[Versions], Any]) -> None:
    with stream(lambda at: (1 if at < 30 or at in (31, 33) else 2, 0.9)) as watched:
        watched.wait_for(2)
    with pytest.raises(Exception, match="in the order"):
        watched.check(expected=[1, 2])


def test_two_answers_to_one_text_are_noticed(stream: Callable[[Versions], Any]) -> None:
    with stream(lambda at: (1, 0.9 if at < 10 else 0.8)) as watched, pytest.raises(Exception, match="two answers"):
        watched.wait_for(1)


def test_a_broken_stream_is_told(stream: Callable[[Versions], Any]) -> None:
    def versions(at: int) -> tuple[int, float]:
        if at == 5:
            raise ConnectionError("gone")
        return 1, 0.9

    with stream(versions) as watched, pytest.raises(Exception, match="gone"):
        watched.wait_for(1)
