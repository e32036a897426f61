"""Finance for candelabra: signed sentiment, cashtags, amounts and percentages in one shape."""

from __future__ import annotations

from .domain import FinanceDomain

__all__ = ["FinanceDomain"]
