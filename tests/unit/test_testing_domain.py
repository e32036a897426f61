"""check_domain passes a sound domain and names the promise that an unsound one breaks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import pytest

from candelabra.general import GeneralDomain
from candelabra.plugin import Decision, Domain, Example, LabelScore, Task
from candelabra.testing import check_domain


class Sound(Domain):
    api_version = 1
    name = "sound"


class NoVersion(Domain):
    name = "noversion"


class BadTask(Sound):
    api_version = 1
    tasks = (Task("t", metric="luck"),)


class Empties(Sound):
    api_version = 1

    def prepare(self, text: str, task: Task) -> str:
        return text.strip("x.§$%")


class Raises(Sound):
    api_version = 1

    def prepare(self, text: str, task: Task) -> str:
        return text.encode("ascii").decode()


class Random(Sound):
    api_version = 1
    _count = itertools.count()

    def prepare(self, text: str, task: Task) -> str:
        return f"{text}{next(self._count)}"


class Bytes(Sound):
    api_version = 1

    def prepare(self, text: str, task: Task) -> str:
        return text.encode()  # type: ignore[return-value]


class Quotes(Sound):
    api_version = 1
    quote_texts = False

    def check(self, example: Example, task: Task) -> None:
        raise ValueError(f"no: {example.text}")


class WrongError(Sound):
    api_version = 1

    def check(self, example: Example, task: Task) -> None:
        raise KeyError(example.text)


class Invents(Sound):
    api_version = 1

    def decide(self, text: str, scores: Sequence[LabelScore], chosen: Sequence[LabelScore], task: Task) -> Decision:
        return Decision((LabelScore("made up", 1.0),), {})


class Undecided(Sound):
    api_version = 1

    def decide(self, text: str, scores: Sequence[LabelScore], chosen: Sequence[LabelScore], task: Task) -> Decision:
        return Decision((), {})


class Endless(Sound):
    api_version = 1

    def decide(self, text: str, scores: Sequence[LabelScore], chosen: Sequence[LabelScore], task: Task) -> Decision:
        return Decision(tuple(chosen), {"odds": float("inf")})


class Remembers(Sound):
    api_version = 1

    def __init__(self) -> None:
        self.seen = 0

    def prepare(self, text: str, task: Task) -> str:
        self.seen += 1
        return text


class Shares(Sound):
    """Right with one thread, wrong with several: it works through a shared place."""

    api_version = 1
    _home = threading.get_ident()

    def prepare(self, text: str, task: Task) -> str:
        return text if threading.get_ident() == self._home else text + "!"


@pytest.mark.parametrize("domain", [GeneralDomain(), Sound()])
def test_a_sound_domain_passes(domain: Domain) -> None:
    check_domain(domain, texts=["The parcel left the depot at noon."])


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        (NoVersion, "does not state `api_version`"),
        (BadTask, "metric 'luck'"),
        (Empties, "left nothing to read"),
        (Raises, "must accept every text"),
        (Random, "it must be pure"),
        (Bytes, "not a string"),
        (Quotes, "repeats the text in its message"),
        (WrongError, "only ValueError says no"),
        (Invents, "which the head does not know"),
        (Undecided, "exactly one"),
        (Endless, "values are finite"),
        (Remembers, "keeps state"),
        (Shares, "keep it without state"),
    ],
)
def test_a_broken_promise_is_named(domain: type[Domain], said: str) -> None:
    with pytest.raises(AssertionError, match=said) as failed:
        check_domain(domain())
    assert domain.__name__ in str(failed.value)


def test_a_class_in_place_of_an_instance_is_told() -> None:
    with pytest.raises(AssertionError, match="takes an instance"):
        check_domain(Sound)  # type: ignore[arg-type]
