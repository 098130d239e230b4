"""Runs: create, find, change status. Every change of status is stored together with its event."""

import secrets
from collections.abc import Collection, Sequence

from sqlalchemy import insert, select, update
from sqlmodel import Session, col, delete

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import InvalidTransition, NotFound
from rankscope.contract.events import StatusEvent
from rankscope.contract.status import TRANSITIONS, RunStatus
from rankscope.contract.stored import Environment, StoredMemoryEstimate
from rankscope.contract.tables import Attempt, Checkpoint, DeletedRun, Run
from rankscope.store.config_values import store_config_values
from rankscope.store.history import events
from rankscope.store.tags import set_tags

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
DELETIONS_KEPT_S = 86_400.0
"""How long deleted runs are reported to readers of changes."""
_MAX_PARAMETERS = 1000
"""Parameters in one statement; SQLite's limit is 32,766."""


def new_run_id() -> str:
    """Eight letters and digits that are hard to misread: about 39 bits, and short to type."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def create_run(
    session: Session,
    config: RunConfig,
    *,
    now: float,
    name: str | None = None,
    tags: Sequence[str] = (),
    notes: str = "",
    priority: int = 0,
    environment: Environment | None = None,
    total_steps: int | None = None,
    run_id: str | None = None,
    parent: tuple[str, int] | None = None,
    project: str = "",
    memory_estimate: StoredMemoryEstimate | None = None,
) -> Run:
    """Stores a queued run with its fully resolved configuration. `parent`: the run's id and the step it was forked from."""
    run = Run(
        id=run_id or new_run_id(),
        parent_id=parent[0] if parent else None,
        parent_step=parent[1] if parent else None,
        name=name or default_name(config),
        project=project,
        notes=notes,
        priority=priority,
        queue_order=now,
        config=config.model_dump(mode="json"),
        environment=environment or {},
        method=config.method.name,
        model_id=config.model.id,
        task=config.task.name,
        headline_metric=config.task.headline_metric,
        data_id=config.data.id,
        needs_gpu=config.needs_gpu,
        created_at=now,
        updated_at=now,
        total_steps=total_steps,
        memory_estimate=memory_estimate,
    )
    session.add(run)
    session.flush()
    store_config_values(session, run.id, run.config)
    set_tags(session, run.id, tags)
    events.append_unfenced(session, run.id, [StatusEvent(status=RunStatus.queued)], now=now)
    return run


def default_name(config: RunConfig) -> str:
    """Method, budget, model and data, for example "dynamic rank 4, minilm, rotten-tomatoes"."""
    return f"{config.method.run_name}, {config.model.id}, {config.data.id}"


def get_run(session: Session, run_id: str) -> Run:
    run = session.get(Run, run_id, populate_existing=True)
    if run is None:
        raise NotFound(f"There is no run {run_id!r}.", "The list of runs shows all of them.")
    return run


def has_any(session: Session) -> bool:
    return session.scalar(select(col(Run.id)).limit(1)) is not None


def transition(
    session: Session,
    run: Run,
    to: RunStatus,
    *,
    now: float,
    reason: str | None = None,
    message: str | None = None,
    next_step: str | None = None,
    cause: str | None = None,
    step: int | None = None,
) -> None:
    """Changes the status and appends its event. Raises InvalidTransition if TRANSITIONS does not allow it.

    Safe against concurrent writers: the UPDATE only applies if the status is still the one that was read.
    """
    before = run.status
    if to not in TRANSITIONS[RunStatus(before)]:
        raise InvalidTransition(f"Run {run.id} is {before}; it can't become {to}.")
    values: dict[str, object] = {
        "status": to,
        "reason": reason,
        "message": message,
        "next_step": next_step,
        "cause": cause,
        "updated_at": now,
    }
    if to.is_terminal or to == RunStatus.interrupted:
        values |= {"phase": None, "worker": None, "lease_expires_at": None, "stop_requested": None}
        if to.is_terminal:
            values["ended_at"] = now
        session.execute(
            update(Attempt)
            .where(col(Attempt.run_id) == run.id, col(Attempt.number) == run.attempt, col(Attempt.ended_at).is_(None))
            .values(ended_at=now, outcome=reason or to)
        )
    if to == RunStatus.queued:
        values |= {"ended_at": None, "lost_workers": 0, "stop_requested": None, "queue_order": now}
    if to.is_terminal:
        values["steer_requests"] = []
    changed = session.execute(
        update(Run)
        .where(col(Run.id) == run.id, col(Run.status) == before, col(Run.attempt) == run.attempt)
        .values(**values)
        .returning(col(Run.id))
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if changed is None:
        raise InvalidTransition(f"Run {run.id} changed while it was {before}.", "Reload it and try again.")
    event = StatusEvent(status=to, reason=reason, message=message, next_step=next_step, cause=cause, step=step)
    events.append_unfenced(session, run.id, [event], now=now)
    session.refresh(run)


def request_stop(session: Session, run_id: str, *, save: bool, now: float) -> Run:
    """Stops a run: immediately if it is waiting, otherwise by asking its worker.

    A second request can only be stricter: `now` after `save`.
    """
    run = get_run(session, run_id)
    if run.status.is_claimable:
        transition(
            session,
            run,
            RunStatus.stopped,
            now=now,
            reason="cancelled",
            message="Removed from the queue.",
        )
        return run
    if not run.status.is_owned:
        raise InvalidTransition(
            f"Run {run.id} is {run.status}; only queued, interrupted, starting or running runs can be stopped."
        )
    if run.status != RunStatus.stopping:
        transition(session, run, RunStatus.stopping, now=now)
    if run.stop_requested != "now":
        run.stop_requested = "save" if save else "now"
        session.add(run)
    return run


def request_resume(session: Session, run_id: str, *, now: float) -> Run:
    """Puts a stopped or failed run back into the queue; it continues from its newest checkpoint."""
    run = get_run(session, run_id)
    check_resumable(run)
    transition(session, run, RunStatus.queued, now=now, reason="resumed")
    return run


def check_resumable(run: Run) -> None:
    """Raises InvalidTransition unless the run has stopped or failed."""
    if run.status not in (RunStatus.stopped, RunStatus.failed):
        raise InvalidTransition(f"Run {run.id} is {run.status}; only stopped or failed runs can be resumed.")


def delete_run(session: Session, run_id: str, *, now: float) -> Run:
    """Deletes a run without a worker, with its events. The caller deletes its files after the commit."""
    run = get_run(session, run_id)
    if run.status.is_owned:
        raise InvalidTransition(f"Run {run.id} is {run.status}; a run on a worker can't be deleted.", "Stop it first.")
    session.execute(delete(DeletedRun).where(col(DeletedRun.deleted_at) < now - DELETIONS_KEPT_S))
    # Before the run goes: the number of the change must be larger than that of the run.
    session.execute(insert(DeletedRun).values(id=run_id, deleted_at=now))
    gone = session.execute(
        delete(Run)
        .where(col(Run.id) == run_id, col(Run.attempt) == run.attempt, col(Run.status) == run.status)
        .returning(col(Run.id))
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if gone is None:
        raise InvalidTransition(f"Run {run.id} changed while it was deleted.", "Reload it and try again.")
    session.expunge(run)
    return run


def relatives(session: Session, run: Run, *, most: int) -> tuple[list[Run], bool]:
    """The run's tree: its oldest remaining ancestor and all forks of it, parents before children.

    At most `most` runs, and whether these are all. If there are more than `most` generations, the nearest ones.
    """
    top, seen = run, {run.id}
    while (
        len(seen) < most and top.parent_id and top.parent_id not in seen and (parent := session.get(Run, top.parent_id))
    ):
        top = parent
        seen.add(top.id)
    tree, level, known = [top], [top.id], {top.id}
    while level and len(tree) <= most:
        query = (
            select(Run).where(col(Run.parent_id).in_(level)).order_by(col(Run.created_at), col(Run.id)).limit(most + 1)
        )
        children = [child for child in session.scalars(query) if child.id not in known]
        tree += children
        level = [child.id for child in children]
        known.update(level)
    return tree[:most], len(tree) <= most


def attempts_of(session: Session, run_id: str, *, most: int | None = None) -> list[Attempt]:
    """The newest `most` (None: all), in order."""
    query = select(Attempt).where(col(Attempt.run_id) == run_id).order_by(col(Attempt.number).desc()).limit(most)
    return list(session.scalars(query))[::-1]


def checkpoints_of(session: Session, run_id: str, places: Collection[tuple[int, int]]) -> list[Checkpoint]:
    """The recorded checkpoints among these (attempt, step), by step, then attempt."""
    found: list[Checkpoint] = []
    every = sorted({step for _, step in places})
    for start in range(0, len(every), _MAX_PARAMETERS):
        steps = every[start : start + _MAX_PARAMETERS]
        rows = session.scalars(
            select(Checkpoint).where(col(Checkpoint.run_id) == run_id, col(Checkpoint.step).in_(steps))
        )
        found += [row for row in rows if (row.attempt, row.step) in places]
    return sorted(found, key=lambda row: (row.step, row.attempt))


def find_runs(session: Session, run_ids: Sequence[str]) -> list[Run]:
    """These runs in this order. Raises NotFound for the first missing one."""
    return [get_run(session, run_id) for run_id in run_ids]


def runs_with_data(session: Session, data_ids: Collection[str]) -> dict[str, list[str]]:
    """Returns the ids of the runs that were launched with each of these data sets."""
    found: dict[str, list[str]] = {}
    for data_id, run_id in session.execute(select(col(Run.data_id), col(Run.id)).where(col(Run.data_id).in_(data_ids))):
        found.setdefault(data_id, []).append(run_id)
    return found
