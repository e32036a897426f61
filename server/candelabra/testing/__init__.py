"""What plugins and their tests may use: the contract of a domain, and a tiny encoder."""

from __future__ import annotations

from candelabra.testing.domain import check_domain
from candelabra.testing.encoder import TinyEncoder, tiny_tokenizer

__all__ = ["TinyEncoder", "check_domain", "tiny_tokenizer"]
