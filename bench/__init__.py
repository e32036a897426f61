"""Measurements of a running server, each beside what it is compared with. `python -m bench --help`."""
