"""The kinds of trained functions that a head can have; `candelabra.heads.body.Body` says what they share."""
