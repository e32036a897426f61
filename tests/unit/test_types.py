"""Names and references: what is taken, what is refused, and that printing and parsing agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candelabra.errors import InvalidName
from candelabra.types import LIVE, MOVES, HeadRef, JobState, OwnedName, check_alias

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9_.-]{0,20}[a-z0-9])?", fullmatch=True)


@given(NAMES, NAMES, st.one_of(st.integers(1, 2**40), NAMES.filter(lambda name: not name.isdigit())))
def test_a_reference_survives_printing(tenant: str, name: str, selector: int | str) -> None:
    ref = HeadRef(OwnedName(tenant, name), selector)
    assert HeadRef.parse(str(ref)) == ref


def test_without_a_selector_it_is_live() -> None:
    assert HeadRef.parse("acme/tone").selector == LIVE


@pytest.mark.parametrize(
    "text",
    ["", "acme", "/tone", "acme/", "acme/Tone", "acme/to ne", "acme/../x", "acme/a/b", "acme/tone@", "acme/tone@0",
     "acme/tone@-1", "acme/" + "x" * 64, "acme/tone@99999999999999999999", "acme/.tone", "acme/tone\n", "acme/tone@٣"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        HeadRef.parse(text)


def test_an_alias_is_not_a_number() -> None:
    with pytest.raises(InvalidName, match="version number"):
        check_alias("12")


def test_ended_jobs_move_nowhere() -> None:
    assert all(not MOVES[state] for state in JobState if state.ended)
    assert MOVES.keys() == set(JobState)
