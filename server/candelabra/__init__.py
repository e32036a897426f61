"""candelabra: one frozen encoder, thousands of small heads, trained and served over gRPC."""

__version__ = "0.1.0"
