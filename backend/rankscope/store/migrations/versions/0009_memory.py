"""Memory of a worker's host, and the estimated memory of a run."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker", sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
    op.add_column("worker", sa.Column("free_memory_bytes", sa.BigInteger(), nullable=True))
    op.add_column("run", sa.Column("memory_estimate", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("run", "memory_estimate")
    op.drop_column("worker", "free_memory_bytes")
    op.drop_column("worker", "memory_bytes")
