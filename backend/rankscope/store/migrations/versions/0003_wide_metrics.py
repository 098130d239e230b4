"""wide metrics events, and their points in chunks.

Up: a row of one number (kind `metric`, columns `name` and `value`) becomes a wide one of one number (kind `metrics`, payload
{"values": {name: number}}). Down: wide rows of one number go back; those of several stay as they are, of a kind that the
older program shows to nobody. Chunks are made from events, so they are dropped and made anew.

Columns are dropped by ALTER TABLE alone, for the reason given in 0002. Numbers are moved in Python: SQLite writes them
into JSON with 15 digits, which is not every bit.
"""

import math

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BATCH = 5000
_event = sa.table(
    "event",
    sa.column("run_id", sa.String),
    sa.column("seq", sa.BigInteger),
    sa.column("kind", sa.String),
    sa.column("name", sa.String),
    sa.column("value", sa.Float),
    sa.column("payload", sa.JSON(none_as_null=True)),
)


def upgrade() -> None:
    op.drop_index("ix_event_series", "event")
    _rewrite(("metric", "artifact"), ("kind", "payload"), _widened)
    op.drop_column("event", "name")
    op.drop_column("event", "value")
    op.create_index("ix_event_kind", "event", ["run_id", "kind", "seq"])
    op.add_column("run", sa.Column("chunked_seq", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "chunk",
        sa.Column("run_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_step", sa.Integer(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("reduced", sa.LargeBinary(), nullable=False),
        sa.Column("exact", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "name", "first_seq", "attempt"),
    )


def downgrade() -> None:
    op.drop_table("chunk")
    op.drop_column("run", "chunked_seq")
    op.drop_index("ix_event_kind", "event")
    op.add_column("event", sa.Column("name", sa.String(length=100), nullable=True))
    op.add_column("event", sa.Column("value", sa.Float(), nullable=True))
    _rewrite(("metrics", "artifact"), ("kind", "name", "value", "payload"), _narrowed)
    op.create_index("ix_event_series", "event", ["run_id", "kind", "name", "step"])


def _widened(row):
    if row.kind == "artifact":
        return {"kind": row.kind, "payload": row.payload | {"name": row.name}}
    value = row.payload["value"] if row.value is None else row.value
    return {"kind": "metrics", "payload": {"values": {row.name: value}}}


def _narrowed(row):
    if row.kind == "artifact":
        payload = dict(row.payload)
        return {"kind": row.kind, "name": payload.pop("name"), "value": None, "payload": payload}
    if len(row.payload["values"]) > 1:
        return {"kind": row.kind, "name": None, "value": None, "payload": row.payload}
    ((name, value),) = row.payload["values"].items()
    is_finite = not isinstance(value, str) and math.isfinite(value)
    return {
        "kind": "metric", "name": name, "value": value if is_finite else None,
        "payload": None if is_finite else {"value": value},
    }


def _rewrite(kinds, columns, changed) -> None:
    """Gives each row of these kinds what `changed(row)` says of these columns, in batches by key."""
    connection = op.get_bind()
    update = (
        sa.update(_event)
        .where(_event.c.run_id == sa.bindparam("of_run"), _event.c.seq == sa.bindparam("of_seq"))
        .values({name: sa.bindparam(f"new_{name}", type_=_event.c[name].type) for name in columns})
    )
    read = [_event.c[name] for name in ("run_id", "seq", "kind", "payload")]
    if "metric" in kinds:
        read += [_event.c.name, _event.c.value]
    for run_id in connection.scalars(sa.select(sa.column("id")).select_from(sa.table("run"))).all():
        after = 0
        while rows := connection.execute(
            sa.select(*read)
            .where(_event.c.run_id == run_id, _event.c.seq > after, _event.c.kind.in_(kinds))
            .order_by(_event.c.seq)
            .limit(_BATCH)
        ).all():
            connection.execute(
                update,
                [
                    {"of_run": run_id, "of_seq": row.seq} | {f"new_{name}": value for name, value in changed(row).items()}
                    for row in rows
                ],
            )
            after = rows[-1].seq
