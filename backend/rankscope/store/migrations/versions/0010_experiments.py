"""Experiments, their trials, and their computed answers."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _choice(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, length=16)


def upgrade() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("notes", sa.String(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column(
            "status",
            _choice("experimentstatus", "tuning", "testing", "paused", "done", "stopped", "failed"),
            nullable=False,
        ),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("next_step", sa.String(), nullable=True),
        sa.Column("design", sa.JSON(), nullable=False),
        sa.Column("is_extended_after_looking", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("seen_revision", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_experiment_created", "experiment", ["created_at"])
    op.create_table(
        "trial",
        sa.Column("experiment_id", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("purpose", _choice("trialpurpose", "tune", "test", "control"), nullable=False),
        sa.Column("status", _choice("trialstatus", "planned", "running", "done", "failed"), nullable=False),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("variant", sa.String(100), nullable=False),
        sa.Column("budget", sa.Float(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.String(16), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("ranks", sa.JSON(), nullable=True),
        sa.Column("kept_parameters", sa.BigInteger(), nullable=True),
        sa.Column("collapse", _choice("collapse", "majority", "diverged"), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("experiment_id", "number"),
    )
    op.create_index("ix_trial_run", "trial", ["run_id"])
    op.create_table(
        "trial_rows",
        sa.Column("experiment_id", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id", "number"], ["trial.experiment_id", "trial.number"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_id", "number"),
    )
    op.create_table(
        "experiment_answer",
        sa.Column("experiment_id", sa.String(16), nullable=False),
        sa.Column("selection", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("format", sa.Integer(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("experiment_id", "selection"),
    )


def downgrade() -> None:
    for table in ("experiment_answer", "trial_rows", "trial", "experiment"):
        op.drop_table(table)
