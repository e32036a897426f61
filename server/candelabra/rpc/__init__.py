"""The gRPC edge: messages in, use cases called, messages out. Nothing here thinks."""
