"""Medicine for candelabra: adverse events found recall-first, doses and abbreviations spelled out."""

from __future__ import annotations

from .domain import MedicalDomain

__all__ = ["MedicalDomain"]
