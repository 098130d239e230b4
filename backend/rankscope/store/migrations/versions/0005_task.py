"""The task of a run, as a column and in its configuration.

Up: every run so far classifies texts; the columns that it reads move from `data` to `task`. Down: the other way round.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_run = sa.table("run", sa.column("id", sa.String), sa.column("config", sa.JSON))
_TASK = "text_classification"
_COLUMNS = ("text_columns", "label_column")


def upgrade() -> None:
    op.add_column("run", sa.Column("task", sa.String(32), nullable=False, server_default=_TASK))
    _rewrite(_with_task)


def downgrade() -> None:
    _rewrite(_without_task)
    op.drop_column("run", "task")


def _with_task(config):
    if "task" in config:
        return config
    data = config["data"]
    columns = {name: data.get(name) for name in _COLUMNS}
    rest = {name: value for name, value in data.items() if name not in _COLUMNS}
    return {**config, "data": rest, "task": {"name": _TASK, **columns}}


def _without_task(config):
    if "task" not in config:
        return config
    columns = {name: config["task"].get(name) for name in _COLUMNS}
    rest = {name: value for name, value in config.items() if name != "task"}
    return {**rest, "data": {**config["data"], **columns}}


def _rewrite(changed) -> None:
    """Gives each run the configuration that `changed(config)` returns."""
    connection = op.get_bind()
    for run_id in connection.scalars(sa.select(_run.c.id)).all():
        config = connection.scalar(sa.select(_run.c.config).where(_run.c.id == run_id))
        after = changed(config)
        if after != config:
            connection.execute(sa.update(_run).where(_run.c.id == run_id).values(config=after))
