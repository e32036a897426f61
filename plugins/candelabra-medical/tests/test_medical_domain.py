"""The medical domain keeps the contract, looks for recall first, and spells shorthand out."""

from __future__ import annotations

import pytest
from candelabra_medical import MedicalDomain
from candelabra_medical.domain import ADVERSE_EVENT
from candelabra_medical.shorthand import spell_out
from hypothesis import given
from hypothesis import strategies as st

from candelabra.plugin import LongText
from candelabra.testing import check_domain

PIECES = st.lists(
    st.sampled_from(
        ["50", "mg", "µg", "/", "kg", "day", " ", ".", "b.i.d", "bid", "IV", "po", "h/o", "q", "8h", "x", "PRN", ","]
    )
)


def test_contract() -> None:
    check_domain(MedicalDomain(), texts=["Rash on day 3 of amoxicillin 500mg po tid; h/o atopy."])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250µg/kg/day", "250 mcg per kg per day"),
        ("250 \u03bcg daily", "250 mcg daily"),
        ("50mg po bid", "50 mg by mouth twice daily"),
        ("10 mg/kg/d IV", "10 mg per kg per day intravenously"),
        ("given i.v. and then b.i.d. for a week", "given intravenously and then twice daily for a week"),
        ("68 y/o, s/p bypass, h/o HTN", "68 year-old, status post bypass, history of hypertension"),
        ("paracetamol q6h PRN", "paracetamol every 6 hours as needed"),
        ("2.5 mg/dl", "2.5 mg per dl"),
    ],
)
def test_shorthand_is_spelled_out(text: str, expected: str) -> None:
    assert spell_out(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "She placed a bid for the practice.",
        "Stage IV disease, PT prolonged, d/c tomorrow.",
        "An MI and an MS relapse read alike when shortened.",
        "The ward has 24 beds.",
        "and/or",
    ],
)
def test_what_reads_two_ways_stays(text: str) -> None:
    assert spell_out(text) == text


@given(st.text() | PIECES.map("".join))
def test_preparing_twice_changes_nothing_more(text: str) -> None:
    once = spell_out(text)
    assert spell_out(once) == once
    assert bool(once.strip()) == bool(text.strip())


def test_adverse_events_are_found_recall_first() -> None:
    assert ADVERSE_EVENT.metric == "f2[adverse_event]"
    assert ADVERSE_EVENT.recall_floor >= 0.9


def test_no_text_may_be_quoted() -> None:
    assert MedicalDomain.quote_texts is False


def test_abstracts_are_read_to_their_end() -> None:
    tasks = {task.name: task for task in MedicalDomain.tasks}
    assert tasks["classification"].long_text == LongText.WINDOWS
