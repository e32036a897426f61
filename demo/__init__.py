"""The whole story in one run: `make demo`, or `make demo DATA=folder` for the real datasets."""
