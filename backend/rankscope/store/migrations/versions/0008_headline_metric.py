"""The headline metric that a run chooses. Runs so far have chosen none.

Down: also removed from configurations, because earlier versions refuse options that they don't know.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_run = sa.table("run", sa.column("id", sa.String), sa.column("config", sa.JSON))


def upgrade() -> None:
    op.add_column("run", sa.Column("headline_metric", sa.String(65), nullable=True))


def downgrade() -> None:
    connection = op.get_bind()
    for run_id in connection.scalars(sa.select(_run.c.id)).all():
        config = connection.scalar(sa.select(_run.c.config).where(_run.c.id == run_id))
        task = config.get("task", {})
        if "headline_metric" in task:
            kept = {name: value for name, value in task.items() if name != "headline_metric"}
            connection.execute(sa.update(_run).where(_run.c.id == run_id).values(config={**config, "task": kept}))
    op.drop_column("run", "headline_metric")
