"""Generated from protos/candelabra/v1 by `make protos`. Do not edit."""
