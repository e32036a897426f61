"""Client of the candelabra server."""
