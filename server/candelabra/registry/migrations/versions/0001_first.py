"""The first schema: heads, datasets and jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Written out and not imported: a migration must mean the same forever.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _heads()
    _datasets()
    _jobs()


def _heads() -> None:
    counter = op.create_table(
        "revision",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
    )
    op.bulk_insert(counter, [{"id": 1, "value": 0}])
    op.create_table(
        "head",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("tenant", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_head"),
        sa.UniqueConstraint("tenant", "name", name="uq_head_tenant_name"),
    )
    op.create_index("ix_head_revision", "head", ["revision"])
    op.create_table(
        "head_version",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("head_id", SERIAL, sa.ForeignKey("head.id", name="fk_head_version_head_id"), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("backbone", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("dataset_rows", sa.BigInteger, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_head_version"),
        sa.UniqueConstraint("head_id", "number", name="uq_head_version_head_id_number"),
    )
    op.create_index("ix_head_version_digest", "head_version", ["digest"])
    op.create_table(
        "head_alias",
        sa.Column("head_id", SERIAL, sa.ForeignKey("head.id", name="fk_head_alias_head_id"), nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("head_id", "name", name="pk_head_alias"),
    )
    op.create_table(
        "alias_move",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("head_id", SERIAL, sa.ForeignKey("head.id", name="fk_alias_move_head_id"), nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("undone", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alias_move"),
    )
    op.create_index("ix_alias_move_head_id_name", "alias_move", ["head_id", "name"])


def _datasets() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("tenant", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("label_counts", sa.Text, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("updated", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
        sa.UniqueConstraint("tenant", "name", name="uq_dataset_tenant_name"),
    )
    op.create_table(
        "dataset_example",
        sa.Column(
            "dataset_id", SERIAL, sa.ForeignKey("dataset.id", name="fk_dataset_example_dataset_id"), nullable=False
        ),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "position", name="pk_dataset_example"),
    )
    op.create_table(
        "dataset_append",
        sa.Column(
            "dataset_id", SERIAL, sa.ForeignKey("dataset.id", name="fk_dataset_append_dataset_id"), nullable=False
        ),
        sa.Column("request_id", KEY, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("appended", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("label_counts", sa.Text, nullable=False),
        sa.Column("updated", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "request_id", name="pk_dataset_append"),
    )


def _jobs() -> None:
    op.create_table(
        "tenant",
        sa.Column("name", KEY, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_tenant"),
    )
    op.create_table(
        "job",
        sa.Column("seq", SERIAL, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("tenant", KEY, nullable=False),
        sa.Column("head", KEY, nullable=False),
        sa.Column("dataset", KEY, nullable=False),
        sa.Column("validation", KEY),
        sa.Column("request_id", KEY),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease", MOMENT),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("started", MOMENT),
        sa.Column("ended", MOMENT),
        sa.Column("version", sa.BigInteger),
        sa.Column("version_digest", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.PrimaryKeyConstraint("seq", name="pk_job"),
        sa.UniqueConstraint("id", name="uq_job_id"),
        sa.UniqueConstraint("tenant", "request_id", name="uq_job_tenant_request_id"),
    )
    op.create_index("ix_job_state_seq", "job", ["state", "seq"])
    op.create_index("ix_job_tenant_head", "job", ["tenant", "head"])
    op.create_table(
        "job_event",
        sa.Column("job_seq", SERIAL, sa.ForeignKey("job.seq", name="fk_job_event_job_seq"), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job_seq", "sequence", name="pk_job_event"),
    )
