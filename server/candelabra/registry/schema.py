"""The tables. Change them together with a new file in migrations/versions; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, UniqueConstraint

from candelabra.registry.columns import Json, Key, Serial, Utc, Words

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# One row: the number of changes made to heads, versions and aliases. Whoever changes one locks it first,
# so changes have an order that every server can follow.
revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# One row a tenant, locked while a job of it is accepted: limits and request ids are exact.
tenant = Table("tenant", metadata, Column("name", Key, primary_key=True))

# A deleted head stays as a row without versions, because its version numbers must never come again.
head = Table(
    "head",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("tenant", Key, nullable=False),
    Column("name", Key, nullable=False),
    Column("domain", Words, nullable=False),
    Column("task", Words, nullable=False),
    Column("created", Utc, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    UniqueConstraint("tenant", "name"),
    Index(None, "revision"),
)

version = Table(
    "head_version",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("head_id", ForeignKey("head.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("digest", Key, nullable=False),
    Column("backbone", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("method", Words, nullable=False),
    Column("labels", Json, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", Utc, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("dataset", Words, nullable=False),
    Column("dataset_rows", BigInteger, nullable=False),
    Column("job", Words, nullable=False),
    Column("report", Json, nullable=False),
    Column("retired", Words, nullable=False, server_default=""),
    UniqueConstraint("head_id", "number"),
    Index(None, "digest"),
)

alias = Table(
    "head_alias",
    metadata,
    Column("head_id", ForeignKey("head.id"), primary_key=True),
    Column("name", Key, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

# Where each alias has pointed. Those not undone are the stack that a roll-back goes down; the rest is history.
alias_move = Table(
    "alias_move",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("head_id", ForeignKey("head.id"), nullable=False),
    Column("name", Key, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("time", Utc, nullable=False),
    Column("undone", Boolean, nullable=False),
    Index(None, "head_id", "name"),
)

dataset = Table(
    "dataset",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("tenant", Key, nullable=False),
    Column("name", Key, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("label_counts", Json, nullable=False),
    Column("created", Utc, nullable=False),
    Column("updated", Utc, nullable=False),
    Column("next_position", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("tenant", "name"),
)

# A position is never given twice: it names a row for ever, also after the row was forgotten. `more` holds what only
# some tasks have. The keys are digests by which a text is found. That an id comes once is seen to under the lock of
# the dataset and not by the index, because the examples inside one Adapt may repeat one: they are dropped and counted.
example = Table(
    "dataset_example",
    metadata,
    Column("dataset_id", ForeignKey("dataset.id"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("text", Words, nullable=False),
    Column("labels", Json, nullable=False),
    Column("more", Json),
    Column("id", Key),
    Column("text_key", Key, nullable=False, server_default=""),
    Column("other_key", Key),
    Index(None, "dataset_id", "id"),
    Index(None, "dataset_id", "text_key"),
    Index(None, "dataset_id", "other_key"),
)

# What is left of rows that were forgotten: how many, when, on whose request; never a text or an id. One row for each
# dataset that a request touched. `request` and `removed` are salted digests, which cannot be compared across rows.
tombstone = Table(
    "tombstone",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("tenant", Key, nullable=False),
    Column("dataset", Key, nullable=False),
    Column("asked", Key, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("request_id", Key),
    Column("time", Utc, nullable=False),
    Column("salt", Words, nullable=False),
    Column("request", Words, nullable=False),
    Column("removed", Words, nullable=False),
    Column("positions", Json, nullable=False),
    Column("label_counts", Json, nullable=False),
    Column("rows_left", BigInteger, nullable=False),
    Column("missing", BigInteger, nullable=False),
    Index(None, "tenant", "dataset"),
    Index(None, "tenant", "request_id"),
)

# What an append with a request id answered, so that a retry gets the same answer.
append = Table(
    "dataset_append",
    metadata,
    Column("dataset_id", ForeignKey("dataset.id"), primary_key=True),
    Column("request_id", Key, primary_key=True),
    Column("digest", Words, nullable=False),
    Column("appended", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("label_counts", Json, nullable=False),
    Column("updated", Utc, nullable=False),
    Column("next_position", BigInteger, nullable=False, server_default="0"),
)

job = Table(
    "job",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", Key, nullable=False),
    Column("tenant", Key, nullable=False),
    Column("head", Key, nullable=False),
    Column("dataset", Key, nullable=False),
    Column("validation", Key),
    Column("request_id", Key),
    Column("digest", Words, nullable=False),
    Column("spec", Json, nullable=False),
    Column("state", Key, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("owner", Words),
    Column("lease", Utc),
    Column("progress", Json, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("created", Utc, nullable=False),
    Column("started", Utc),
    Column("ended", Utc),
    Column("version", BigInteger),
    Column("version_digest", Words, nullable=False),
    Column("report", Json, nullable=False),
    Column("failure", Json),
    UniqueConstraint("id"),
    UniqueConstraint("tenant", "request_id"),
    Index(None, "state", "seq"),
    Index(None, "tenant", "head"),
)

event = Table(
    "job_event",
    metadata,
    Column("job_seq", ForeignKey("job.seq"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("time", Utc, nullable=False),
    Column("state", Words, nullable=False),
    Column("progress", Json, nullable=False),
    Column("message", Words, nullable=False),
)
