"""pruning_phase of dynamic_rank, and the start that `init: paper` had until now.

Up: stored runs keep what they were launched with, so that a stopped one resumes exactly: pruning at multiples of the interval
(`pruning_phase: absolute`), and `init: paper` becomes `small_random`, the name of that start now. Down: the other way round.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_run = sa.table("run", sa.column("id", sa.String), sa.column("method", sa.String), sa.column("config", sa.JSON))


def upgrade() -> None:
    _rewrite(_as_launched)


def downgrade() -> None:
    _rewrite(_without_phase)


def _as_launched(method):
    if "pruning_phase" in method:
        return method
    init = method.get("init", "paper")
    return {**method, "init": "small_random" if init == "paper" else init, "pruning_phase": "absolute"}


def _without_phase(method):
    kept = {name: value for name, value in method.items() if name != "pruning_phase"}
    return {**kept, "init": "paper"} if kept.get("init") == "small_random" else kept


def _rewrite(changed) -> None:
    """Gives each dynamic-rank run's configuration what `changed(method)` says."""
    connection = op.get_bind()
    of_method = _run.c.method == "dynamic_rank"
    for run_id in connection.scalars(sa.select(_run.c.id).where(of_method)).all():
        config = connection.scalar(sa.select(_run.c.config).where(_run.c.id == run_id))
        after = {**config, "method": changed(config["method"])}
        if after != config:
            connection.execute(sa.update(_run).where(_run.c.id == run_id).values(config=after))
