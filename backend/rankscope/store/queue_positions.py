"""The queue as a person arranges it: order, and the configuration of runs that wait."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem, InvalidTransition
from rankscope.contract.events import ConfigEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.store import runs
from rankscope.store.history import events
from rankscope.store.queue import waiting


def waiting_runs(session: Session, *, limit: int) -> tuple[list[Run], int]:
    """The first runs that wait, the next one first, and how many wait in all."""
    total = session.scalar(select(func.count()).select_from(waiting(col(Run.id)).subquery())) or 0
    return list(session.scalars(waiting(Run).limit(limit))), total


def reorder(session: Session, run_ids: Sequence[str]) -> list[Run]:
    """These runs take, in this order, the places that they have now; a run takes the priority of its place.

    Raises InvalidTransition for a run that does not wait any more: nothing is changed then.
    """
    if len(set(run_ids)) != len(run_ids):
        raise BadInput([FieldProblem("run_ids", list(run_ids), "names a run twice", "Name each run once.")])
    every = list(session.scalars(waiting(Run).with_for_update()))
    by_id = {run.id: run for run in every}
    for run_id in run_ids:
        if run_id not in by_id:
            run = runs.get_run(session, run_id)
            raise InvalidTransition(
                f"Run {run_id} is {run.status}; only waiting runs have a place.", "Reload the queue."
            )
    chosen = set(run_ids)
    new_order = iter(run_ids)
    arranged = [by_id[next(new_order)] if run.id in chosen else run for run in every]
    places = [(run.priority, run.queue_order) for run in every]
    last: tuple[int, float] | None = None
    for (priority, order), run in zip(places, arranged, strict=True):
        if last is not None and last[0] == priority:
            # Two runs that were queued in the same moment share an order: their places must differ.
            order = max(order, math.nextafter(last[1], math.inf))
        last = run.priority, run.queue_order = priority, order
        session.add(run)
    session.flush()
    return arranged


def change_config(
    session: Session,
    run: Run,
    before: RunConfig,
    config: RunConfig,
    differences: Mapping[str, list[Any]],
    *,
    why: str,
    now: float,
    total_steps: int,
    environment: Mapping[str, Any],
) -> None:
    """Gives a run that no worker has another configuration than `before`, and records what changed."""
    if run.status.is_owned:
        raise InvalidTransition(f"Run {run.id} is {run.status}; its configuration is in use.", "Stop it first.")
    if not differences:
        return
    was_default = run.name == runs.default_name(before)
    run.config = config.model_dump(mode="json")
    run.total_steps = total_steps
    run.environment = {**run.environment, **environment}
    run.method, run.model_id, run.data_id = config.method.name, config.model.id, config.data.id
    run.needs_gpu = config.hardware.device == "gpu"
    if was_default:
        run.name = runs.default_name(config)
    session.add(run)
    session.flush()
    event = ConfigEvent(why="edit" if why == "edit" else "retry", changes=dict(differences), total_steps=total_steps)
    events.append_unfenced(session, run.id, [event], now=now)
    session.refresh(run)


def check_editable(run: Run) -> None:
    """Raises InvalidTransition unless the run waits for its first start: nothing has been trained with the old one."""
    if run.status != RunStatus.queued or run.attempt:
        raise InvalidTransition(
            f"Run {run.id} is {run.status}"
            + (f" after {run.attempt} attempt(s)" if run.attempt else "")
            + "; only a run that was never started can be edited.",
            "Fork it from a checkpoint, or duplicate it.",
        )
