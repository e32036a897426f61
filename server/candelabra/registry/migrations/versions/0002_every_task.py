"""Examples of every task, rows that can be forgotten, and versions that can be retired."""

from __future__ import annotations

from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
CHUNK = 5000


def upgrade() -> None:
    op.add_column("head_version", sa.Column("retired", sa.Text, nullable=False, server_default=""))
    op.add_column("dataset", sa.Column("next_position", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE dataset SET next_position = rows")
    op.add_column("dataset_append", sa.Column("next_position", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE dataset_append SET next_position = rows")
    _examples()
    _tombstones()


def _examples() -> None:
    op.add_column("dataset_example", sa.Column("more", sa.Text))
    op.add_column("dataset_example", sa.Column("id", KEY))
    op.add_column("dataset_example", sa.Column("text_key", KEY, nullable=False, server_default=""))
    op.add_column("dataset_example", sa.Column("other_key", KEY))
    _fill_keys()
    for column in ("id", "text_key", "other_key"):
        op.create_index(f"ix_dataset_example_dataset_id_{column}", "dataset_example", ["dataset_id", column])


def _fill_keys() -> None:
    """In chunks, so that a large registry needs little memory."""
    rows = sa.table(
        "dataset_example", sa.column("dataset_id"), sa.column("position"), sa.column("text"), sa.column("text_key")
    )
    where = (rows.c.dataset_id == sa.bindparam("at"), rows.c.position == sa.bindparam("row"))
    fill = sa.update(rows).where(*where).values(text_key=sa.bindparam("key"))
    place = sa.tuple_(rows.c.dataset_id, rows.c.position)
    connection, last = op.get_bind(), (-1, -1)
    while True:
        found = sa.select(rows.c.dataset_id, rows.c.position, rows.c.text).where(place > sa.tuple_(*last))
        chunk = connection.execute(found.order_by(rows.c.dataset_id, rows.c.position).limit(CHUNK)).all()
        if not chunk:
            return
        connection.execute(fill, [{"at": at, "row": row, "key": _key(text)} for at, row, text in chunk])
        last = (chunk[-1].dataset_id, chunk[-1].position)


def _key(text: str) -> str:
    return blake2b(text.strip().encode(), digest_size=16).hexdigest()


def _tombstones() -> None:
    op.create_table(
        "tombstone",
        sa.Column("seq", SERIAL, nullable=False),
        sa.Column("tenant", KEY, nullable=False),
        sa.Column("dataset", KEY, nullable=False),
        sa.Column("asked", KEY, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("request_id", KEY),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("removed", sa.Text, nullable=False),
        sa.Column("positions", sa.Text, nullable=False),
        sa.Column("label_counts", sa.Text, nullable=False),
        sa.Column("rows_left", sa.BigInteger, nullable=False),
        sa.Column("missing", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_tombstone"),
    )
    op.create_index("ix_tombstone_tenant_dataset", "tombstone", ["tenant", "dataset"])
    op.create_index("ix_tombstone_tenant_request_id", "tombstone", ["tenant", "request_id"])
