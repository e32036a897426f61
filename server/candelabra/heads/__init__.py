"""Heads: what they are, where they are kept, and which are in memory."""
