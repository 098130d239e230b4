"""What the runs table filters and sorts by: tags, metric summaries and configuration values in tables of their own.

Up: filled from the JSON columns of `run`; `run.tags` moves to `run_tag`, without NUL, which PostgreSQL can't store as text.
Down: the tags move back. Columns are dropped by ALTER TABLE alone, for the reason given in 0002.
"""

import hashlib
import json
import math

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_BATCH = 200
_run = sa.table(
    "run",
    sa.column("id", sa.String),
    sa.column("tags", sa.JSON),
    sa.column("config", sa.JSON),
    sa.column("metrics", sa.JSON),
)


def _of_run():
    return sa.Column("run_id", sa.String(16), sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)


def upgrade() -> None:
    op.create_table(
        "run_tag",
        _of_run(),
        sa.Column("tag", sa.String(50), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
    )
    op.create_table(
        "run_metric",
        _of_run(),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("last", sa.Float(), nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("min", sa.Float(), nullable=True),
        sa.Column("min_step", sa.Integer(), nullable=False),
        sa.Column("max", sa.Float(), nullable=True),
        sa.Column("max_step", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "config_value",
        _of_run(),
        sa.Column("path", sa.String(100), primary_key=True),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column("text", sa.String(200), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deleted_run",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "saved_view",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("query", sa.String(8000), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.UniqueConstraint("name"),
    )
    op.add_column("run", sa.Column("project", sa.String(100), nullable=False, server_default=""))
    op.add_column("run", sa.Column("archived_at", sa.Float(), nullable=True))
    op.add_column("run", sa.Column("changed", sa.BigInteger(), nullable=False, server_default="0"))
    _fill()
    op.drop_column("run", "tags")
    op.create_index("ix_run_tag", "run_tag", ["tag"])
    op.create_index("ix_run_metric_name", "run_metric", ["name"])
    op.create_index("ix_config_value", "config_value", ["path", "text"])
    op.create_index("ix_deleted_run_changed", "deleted_run", ["changed"])
    op.create_index("ix_run_list", "run", ["archived_at", "created_at", "id"])
    op.create_index("ix_run_changed", "run", ["changed"])


def downgrade() -> None:
    op.drop_index("ix_run_changed", "run")
    op.drop_index("ix_run_list", "run")
    op.add_column("run", sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"))
    connection = op.get_bind()
    tags = sa.table("run_tag", sa.column("run_id"), sa.column("tag"), sa.column("position"))
    of_run = {}
    for run_id, tag in connection.execute(sa.select(tags.c.run_id, tags.c.tag).order_by(tags.c.run_id, tags.c.position)):
        of_run.setdefault(run_id, []).append(tag)
    for run_id, own in of_run.items():
        connection.execute(sa.update(_run).where(_run.c.id == run_id).values(tags=own))
    for name in ("changed", "archived_at", "project"):
        op.drop_column("run", name)
    for name in ("saved_view", "deleted_run", "config_value", "run_metric", "run_tag"):
        op.drop_table(name)


def _fill() -> None:
    connection = op.get_bind()
    into = {
        name: sa.table(name, *map(sa.column, columns))
        for name, columns in {
            "run_tag": ("run_id", "tag", "position"),
            "run_metric": ("run_id", "name", "last", "last_step", "min", "min_step", "max", "max_step"),
            "config_value": ("run_id", "path", "number", "text"),
        }.items()
    }
    after = ""
    while rows := connection.execute(sa.select(_run).where(_run.c.id > after).order_by(_run.c.id).limit(_BATCH)).all():
        for name, of in (("run_tag", _tags), ("run_metric", _metrics), ("config_value", _config_values)):
            values = [{"run_id": row.id, **value} for row in rows for value in of(row)]
            if values:
                connection.execute(sa.insert(into[name]), values)
        after = rows[-1].id


def _tags(row):
    clean = dict.fromkeys(str(tag).replace("\0", "")[:50] for tag in row.tags)
    return [{"tag": tag, "position": place} for place, tag in enumerate(clean) if tag]


def _metrics(row):
    for name, summary in row.metrics.items():
        yield {"name": name[:100]} | {
            key: summary[key] if key.endswith("_step") else _finite(summary[key])
            for key in ("last", "last_step", "min", "min_step", "max", "max_step")
        }


def _finite(value):
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _config_values(row):
    found = {path: value for path, value in _flat(row.config) if path != "steering" and value is not None}
    setup = json.dumps(sorted((path, value) for path, value in found.items() if path != "training.seed"))
    found["setup"] = hashlib.sha256(setup.encode()).hexdigest()[:12]
    for path, value in found.items():
        number = float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield {"path": path[:100], "number": number, "text": text.replace("\0", "")[:200]}


def _flat(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

