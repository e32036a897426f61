"""The legal domain keeps the contract, reads clauses whole, and writes references in one shape."""

from __future__ import annotations

import pytest
from candelabra_legal import LegalDomain
from candelabra_legal.domain import CLAUSE_TYPE, UNFAIR_TERMS
from candelabra_legal.references import normalise
from hypothesis import given
from hypothesis import strategies as st

from candelabra.plugin import LabelScore, LongText, TaskKind
from candelabra.testing import check_domain

PIECES = st.lists(
    st.sampled_from(
        [
            "12.3",
            "(b)",
            "Section ",
            "ARTICLE ",
            "IX",
            ". ",
            " ",
            "§",
            "17 ",
            "USC",
            "U. S. ",
            "F. 3d ",
            "5",
            "The ",
            "___",
            "[***]",
        ]
    )
)


def test_contract() -> None:
    check_domain(LegalDomain(), texts=["12.3(b) Payment. The Buyer shall pay under 11 U.S.C. § 365 within ____ days."])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.3(b) The Tenant shall insure.", "The Tenant shall insure."),
        ("Section 4. Payment is due.", "Payment is due."),
        ("ARTICLE IX: TERM AND TERMINATION", "TERM AND TERMINATION"),
        ("7. (a)(ii) Each party may assign.", "Each party may assign."),
        ("(c) either party may terminate", "either party may terminate"),
        ("IV. Governing Law.", "Governing Law."),
        ("under 17 USC §107", "under 17 U.S. Code section 107"),
        ("see 410 U. S. 113 (1973)", "see 410 U.S. 113 (1973)"),
        ("and 123 F. 3d 456", "and 123 F.3d 456"),
        ("29 CFR Part 1910.12", "29 Code of Federal Regulations section 1910.12"),
        ("as in §§ 5-7", "as in sections 5-7"),
        ("within _____ days of [***]", "within [blank] days of [redacted]"),
    ],
)
def test_references(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "12.3(b)",
        "ARTICLE IX",
        "Section 4 of the Act applies.",
        "30 (thirty) days' notice is enough.",
        "1.2 million dollars are held in escrow.",
        "I. Newton signed for the seller.",
        "A. The seller's address",
        "We may change these terms at any time.",
    ],
)
def test_numbers_that_mean_something_stay(text: str) -> None:
    assert normalise(text) == text


@given(st.text() | PIECES.map("".join))
def test_preparing_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert bool(once.strip()) == bool(text.strip())


def test_every_task_reads_long_texts_in_windows() -> None:
    assert {task.long_text for task in LegalDomain.tasks} == {LongText.WINDOWS}


def test_nine_unfair_terms_and_the_most_probable_as_a_value() -> None:
    assert UNFAIR_TERMS.kind == TaskKind.MULTI_LABEL
    assert len(UNFAIR_TERMS.labels) == 9
    scores = [LabelScore(label, 0.1) for label in UNFAIR_TERMS.labels[1:]] + [LabelScore(UNFAIR_TERMS.labels[0], 0.8)]
    decision = LegalDomain().decide("", scores, (), UNFAIR_TERMS)
    assert decision.labels == ()
    assert decision.values == {"unfair": 0.8}


def test_a_clause_type_has_no_extra_value() -> None:
    scores = [LabelScore("Payment", 0.6), LabelScore("Termination", 0.4)]
    assert LegalDomain().decide("", scores, scores[:1], CLAUSE_TYPE).values == {}
