"""Hyper-parameters that a caller fixed, read with their limits; the server chooses the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from candelabra.errors import InvalidArgument


def known(method: str, options: Mapping[str, object], names: Collection[str]) -> None:
    """Raises InvalidArgument for an option that the method does not have."""
    if unknown := sorted(set(options) - set(names)):
        raise InvalidArgument(
            f"{method} has no option {unknown[0]!r}: it has {', '.join(sorted(names))}.", field=unknown[0]
        )


def whole(options: Mapping[str, object], name: str, low: int, high: int) -> int | None:
    """A whole number from low to high; None where the caller left it to the server."""
    number = options.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise InvalidArgument(f"{name} is {number!r}: give a whole number from {low} to {high}.", field=name)
    return number


def rate(options: Mapping[str, object], name: str, high: float = 1.0) -> float | None:
    """A number above 0 and at most `high`; None where the caller left it to the server."""
    number = options.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= high:
        raise InvalidArgument(f"{name} is {number!r}: give a number above 0 and at most {high:g}.", field=name)
    return float(number)
