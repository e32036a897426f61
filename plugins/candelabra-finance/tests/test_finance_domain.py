"""The finance domain keeps the contract, and writes amounts, percentages and cashtags in one shape."""

from __future__ import annotations

import pytest
from candelabra_finance import FinanceDomain
from candelabra_finance.domain import SENTIMENT
from candelabra_finance.shapes import normalise, number
from hypothesis import given
from hypothesis import strategies as st

from candelabra.plugin import CLASSIFICATION, LabelScore
from candelabra.testing import check_domain

PIECES = st.lists(
    st.sampled_from(
        ["$AAPL", "$", "€", "USD", " ", "3", "1,200", ".", ",", "%", "mn", "bn", "per cent", "bps", "x", "\u00a0"]
    )
)


def test_contract() -> None:
    check_domain(FinanceDomain(), texts=["Shares of $ACME fell 4,5 % after a EUR 12mn writedown."])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("USD 3.2mn in fees", "USD 3.2 million in fees"),
        ("a fee of €1,200", "a fee of EUR 1,200"),
        ("€1.200,50 was repaid", "EUR 1,200.50 was repaid"),
        ("US$1.5bn and £40k", "USD 1.5 billion and GBP 40 thousand"),
        ("paid 1,200 € late", "paid EUR 1,200 late"),
        ("up 5,5 % on the year", "up 5.5% on the year"),
        ("down 8 per cent", "down 8%"),
        ("widened by 25bps", "widened by 25 basis points"),
        ("adding to $ACME today", "adding to ACME stock today"),
        ("sold my $BRK.B shares", "sold my BRK.B shares"),
    ],
)
def test_shapes(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Where is my card?",
        "Opened in 2009 with 14 branches.",
        "figures are in $mn unless stated",
        "the dollar ($USD) slipped",
        "version 1.2.3 of the terminal",
        "item 5 mm thick, 40 m long",
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert normalise(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5,5", "5.5"), ("1,200", "1,200"), ("0,125", "0.125"), ("1.234.567", "1,234,567"), ("1\u00a0200,5", "1,200.5")],
)
def test_numbers_as_english_writes_them(text: str, expected: str) -> None:
    assert number(text) == expected


@given(st.text() | PIECES.map("".join))
def test_preparing_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert bool(once.strip()) == bool(text.strip())


def test_sentiment_is_positive_minus_negative() -> None:
    scores = [LabelScore("negative", 0.7), LabelScore("neutral", 0.2), LabelScore("positive", 0.1)]
    decision = FinanceDomain().decide("", scores, scores[:1], SENTIMENT)
    assert decision.labels == (scores[0],)
    assert decision.values == {"sentiment": pytest.approx(-0.6)}


def test_other_tasks_have_no_sentiment() -> None:
    scores = [LabelScore("positive", 0.9), LabelScore("card", 0.1)]
    assert FinanceDomain().decide("", scores, scores[:1], CLASSIFICATION).values == {}
