"""Page tokens: where the next page begins, opaque to callers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from candelabra.errors import InvalidPageToken
from candelabra.types import Page

DEFAULT_SIZE = 50

T = TypeVar("T")


def size_of(page_size: int) -> int:
    return page_size if page_size > 0 else DEFAULT_SIZE


def write_token(listing: str, *key: str | int) -> str:
    return base64.urlsafe_b64encode(json.dumps([listing, *key]).encode()).decode().rstrip("=")


def read_token(token: str, listing: str, *kinds: type) -> tuple[Any, ...] | None:
    """The key that the last page ended with, or None for the first page. A token of another listing is refused."""
    if not token:
        return None
    try:
        found = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        # `type() is`: a bool is an int for isinstance, and no key holds one.
        good = isinstance(found, list) and found[0] == listing and [type(part) for part in found[1:]] == list(kinds)
        good = good and all(abs(part) < 2**63 for part in found[1:] if isinstance(part, int))
    except (ValueError, IndexError, RecursionError):
        good = False
    if not good:
        raise InvalidPageToken(
            "The page token is not one of this list: use next_page_token of the page before, unchanged.",
            field="page_token",
        )
    return tuple(found[1:])


def page(items: Sequence[T], size: int, token: Callable[[T], str]) -> Page[T]:
    """A page from one item more than fits: the extra one only shows that there is a next page."""
    if len(items) <= size:
        return Page(tuple(items))
    return Page(tuple(items[:size]), token(items[size - 1]))
