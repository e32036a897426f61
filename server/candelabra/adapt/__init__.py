"""Adapt: from labelled features to a head that the gate lets through."""
