"""The findings of the server's rules about a run at a given time, without a server."""

from sqlalchemy import Engine

from rankscope.health.facts import Finding
from rankscope.health.rules import check
from rankscope.health.run_facts import read_facts
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import reading


def findings(engine: Engine, settings: Settings, run_id: str, now: float) -> list[Finding]:
    """The findings as in `GET /runs/{run_id}/health`; the worker's clock is that of this process."""
    with reading(engine) as session:
        run = runs.get_run(session, run_id)
        expires_at = run.lease_expires_at
        lease_age_s = None if expires_at is None else now - (expires_at - settings.lease_s)
        return check(read_facts(session, run, lease_s=settings.lease_s, lease_age_s=lease_age_s, now=now))
