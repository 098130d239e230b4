"""forks, steering and the cause of an end.

Columns are added and dropped by ALTER TABLE alone: Alembic's batch mode would build the table anew on SQLite, and dropping
the old one would delete every run's events with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = ("cause", "parent_id", "parent_step", "steer_requests")


def upgrade() -> None:
    op.add_column("run", sa.Column("cause", sa.String(), nullable=True))
    op.add_column("run", sa.Column("parent_id", sa.String(length=16), nullable=True))
    op.add_column("run", sa.Column("parent_step", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("steer_requests", sa.JSON(), nullable=False, server_default="[]"))
    op.create_index("ix_run_parent", "run", ["parent_id"])


def downgrade() -> None:
    op.drop_index("ix_run_parent", "run")
    for name in reversed(_COLUMNS):
        op.drop_column("run", name)
