"""What plugins and their tests may use: the contract of a domain."""

from __future__ import annotations

from candelabra.testing.domain import check_domain

__all__ = ["check_domain"]
