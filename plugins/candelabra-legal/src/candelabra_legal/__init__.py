"""Law for candelabra: long clauses read whole, unfair terms, numbering and citations in one shape."""

from __future__ import annotations

from .domain import LegalDomain

__all__ = ["LegalDomain"]
