"""Values of evaluations by step in a separate table, for filters and sorting. Filled from the events of every run."""

import json
import math

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ROWS_A_FETCH = 500
_attempt = sa.table("attempt", *map(sa.column, ("run_id", "number", "start_step")))
_event = sa.table("event", *map(sa.column, ("run_id", "seq", "attempt", "kind", "step")), sa.column("payload", sa.Text))
_point = sa.table("evaluation_point", *map(sa.column, ("run_id", "name", "step", "value")))


def upgrade() -> None:
    op.create_table(
        "evaluation_point",
        sa.Column("run_id", sa.String(16), sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("step", sa.Integer(), primary_key=True),
        sa.Column("value", sa.Float(), nullable=True),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    for (run_id,) in connection.execute(sa.select(sa.column("id")).select_from(sa.table("run"))).all():
        points = [
            {"run_id": run_id, "name": name, "step": step, "value": value}
            for (name, step), value in _points(connection, run_id).items()
        ]
        if points:
            connection.execute(sa.insert(_point), points)
    op.create_index("ix_evaluation_point_step", "evaluation_point", ["name", "step"])


def downgrade() -> None:
    op.drop_table("evaluation_point")


def _points(connection, run_id):
    """(name, step) -> the newest value, without those that a later attempt has replaced."""
    starts = connection.execute(
        sa.select(_attempt.c.number, _attempt.c.start_step).where(
            _attempt.c.run_id == run_id, _attempt.c.start_step.is_not(None)
        )
    ).all()
    query = (
        sa.select(_event.c.attempt, _event.c.step, _event.c.payload)
        .where(_event.c.run_id == run_id, _event.c.kind == "metrics", _event.c.payload.like('%"eval\\_%', escape="\\"))
        .order_by(_event.c.seq)
        .execution_options(yield_per=_ROWS_A_FETCH)
    )
    points = {}
    with connection.execute(query) as rows:
        for attempt, step, payload in rows:
            if any(number > attempt and start < step for number, start in starts):
                continue
            for name, value in json.loads(payload)["values"].items():
                if name.startswith("eval_"):
                    points[name[:100], step] = float(value) if math.isfinite(float(value)) else None
    return points
