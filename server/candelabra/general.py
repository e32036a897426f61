"""The built-in domain for texts of no particular field: any labels, texts as they are."""

from __future__ import annotations

from candelabra.plugin import EVERY_TASK, Domain


class GeneralDomain(Domain):
    api_version = 1
    name = "general"
    description = "Texts of any field, read as they are."
    tasks = EVERY_TASK
