"""Known encoders: where they come from, how they are checked, what names them."""

from candelabra.backbones.backbone import Backbone, resolve
from candelabra.backbones.catalogue import CATALOGUE, DEFAULT, Entry, find
from candelabra.backbones.fetch import installed, pull
from candelabra.backbones.fingerprint import fingerprint

__all__ = ["CATALOGUE", "DEFAULT", "Backbone", "Entry", "find", "fingerprint", "installed", "pull", "resolve"]
