"""The engine: one frozen encoder, one thread that touches it, and the queue in front."""
