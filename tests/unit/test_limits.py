"""Every limit: what is within passes, one more is refused with the setting's name."""

from __future__ import annotations

import pytest

from candelabra.errors import InvalidArgument, InvalidText, LimitExceeded, NoExamples
from candelabra.limits import Limits
from candelabra.settings import Settings
from candelabra.types import Example

LIMITS = Limits(
    Settings(max_inputs=2, max_heads=2, max_text_chars=5, max_label_chars=3, max_inline_examples=2, max_page_size=7)
)


def test_within_passes() -> None:
    LIMITS.inputs(["12345", "é"])
    LIMITS.heads(["a/b", "a/c"])
    LIMITS.examples([Example("abc", ("x",))] * 2)


@pytest.mark.parametrize(
    ("act", "limit"),
    [
        (lambda: LIMITS.inputs(["a"] * 3), "max_inputs"),
        (lambda: LIMITS.inputs(["123456"]), "max_text_chars"),
        (lambda: LIMITS.heads(["a/b"] * 3), "max_heads"),
        (lambda: LIMITS.examples([Example("a", ("long",))]), "max_label_chars"),
        (lambda: LIMITS.examples([Example("a", ("x",))] * 3), "max_inline_examples"),
    ],
)
def test_one_more_is_refused(act: object, limit: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        act()  # type: ignore[operator]
    assert caught.value.metadata["limit"] == limit
    assert int(caught.value.metadata["actual"]) == int(caught.value.metadata["maximum"]) + 1
    assert limit in caught.value.message


@pytest.mark.parametrize("text", ["", " ", "\n\t", "a\0b"])
def test_texts_without_content_are_refused(text: str) -> None:
    with pytest.raises(InvalidText) as caught:
        LIMITS.inputs(["fine", text])
    assert caught.value.metadata["field"] == "inputs[1]"


def test_nothing_is_refused_too() -> None:
    with pytest.raises(InvalidArgument):
        LIMITS.inputs([])
    with pytest.raises(InvalidArgument):
        LIMITS.heads([])
    with pytest.raises(NoExamples):
        LIMITS.examples([])


def test_pages() -> None:
    assert [LIMITS.page(size) for size in (0, 3, 100)] == [7, 3, 7]
    with pytest.raises(InvalidArgument):
        LIMITS.page(-1)
