"""The lock of a tenant: who holds it accepts its jobs and forgets its rows one after the other."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from candelabra.registry.schema import tenant


def lock_tenant(conn: Connection, name: str) -> None:
    """Taken before any lock of a dataset or job. On SQLite one writer at a time is the rule anyway."""
    if conn.dialect.name != "sqlite":
        conn.execute(insert(tenant).values(name=name).on_conflict_do_nothing())
        conn.execute(select(tenant).where(tenant.c.name == name).with_for_update())
