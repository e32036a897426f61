"""The registry: heads, versions, aliases, datasets and jobs in SQL. It is the truth; memory is a cache of it."""

from candelabra.registry.forgetting import Forgetting, Forgotten
from candelabra.registry.heads import Changes
from candelabra.registry.jobs import Beat
from candelabra.registry.lineage import Retired
from candelabra.registry.registry import Registry

__all__ = ["Beat", "Changes", "Forgetting", "Forgotten", "Registry", "Retired"]
