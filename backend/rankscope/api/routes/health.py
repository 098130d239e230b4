"""Health of a run: problems and possible problems, and what to do about them."""

import time

from fastapi import APIRouter

from rankscope.api.deps import NowDep, ResourcesDep, RunId
from rankscope.api.guard.access import needs
from rankscope.api.shapes.base import Shape
from rankscope.health.facts import Code, Severity
from rankscope.health.rules import check
from rankscope.health.run_facts import read_facts
from rankscope.store import runs
from rankscope.store.database.engine import reading
from rankscope.store.leases import Lease

router = APIRouter(prefix="/runs/{run_id}/health", tags=["health"])


class HealthItem(Shape):
    code: Code
    severity: Severity
    message: str
    """What was observed, with numbers."""
    next_step: str
    step: int | None
    """Where to look in the curves."""


class RunHealth(Shape):
    items: list[HealthItem]
    """Errors first; empty if no problem was found."""
    checked_at: float
    """By the server's clock."""


@router.get("")
@needs("read")
def get_run_health(run_id: RunId, resources: ResourcesDep, now: NowDep) -> RunHealth:
    """Checks the run's current ranks, budget, scores, loss, speed and worker."""
    with reading(resources.engine) as session:
        run = runs.get_run(session, run_id)
        # Not from the lease itself: its time is the worker's clock, which may differ from ours.
        lease_age_s = resources.leases.unchanged_s(Lease(run.id, run.attempt, run.lease_expires_at), time.monotonic())
        facts = read_facts(session, run, lease_s=resources.settings.lease_s, lease_age_s=lease_age_s, now=now)
    return RunHealth(
        items=[
            HealthItem(
                code=found.code,
                severity=found.severity,
                message=found.message,
                next_step=found.next_step,
                step=found.step,
            )
            for found in check(facts)
        ],
        checked_at=now,
    )
