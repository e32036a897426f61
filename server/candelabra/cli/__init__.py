"""The command line: `candelabra serve|adapt|predict|embed|heads|jobs|datasets|domains|backbones`."""

from candelabra.cli.program import main

__all__ = ["main"]
