"""Changes to the configuration of a run without a worker."""

from collections.abc import Mapping

from sqlmodel import Session

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import InvalidTransition
from rankscope.contract.events import ConfigEvent
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import Environment, StoredMemoryEstimate
from rankscope.contract.tables import Run
from rankscope.store import runs
from rankscope.store.config_values import store_config_values
from rankscope.store.history import events


def change_config(
    session: Session,
    run: Run,
    before: RunConfig,
    config: RunConfig,
    differences: Mapping[str, list[object]],
    *,
    why: str,
    now: float,
    total_steps: int,
    environment: Environment,
    memory_estimate: StoredMemoryEstimate | None,
) -> None:
    """Changes the configuration of a run without a worker, and records what changed from `before`."""
    if run.status.is_owned:
        raise InvalidTransition(f"Run {run.id} is {run.status}; its configuration is in use.", "Stop it first.")
    if not differences:
        return
    was_default = run.name == runs.default_name(before)
    run.config = config.model_dump(mode="json")
    run.total_steps = total_steps
    run.environment = {**run.environment, **environment}
    run.memory_estimate = memory_estimate
    run.method, run.task = config.method.name, config.task.name
    run.headline_metric = config.task.headline_metric
    run.model_id, run.data_id = config.model.id, config.data.id
    run.needs_gpu = config.needs_gpu
    if was_default:
        run.name = runs.default_name(config)
    session.add(run)
    session.flush()
    store_config_values(session, run.id, run.config)
    event = ConfigEvent(why="edit" if why == "edit" else "retry", changes=dict(differences), total_steps=total_steps)
    events.append_unfenced(session, run.id, [event], now=now)
    session.refresh(run)


def check_editable(run: Run) -> None:
    """Raises InvalidTransition unless the run is queued and has never started."""
    if run.status != RunStatus.queued or run.attempt:
        raise InvalidTransition(
            f"Run {run.id} is {run.status}"
            + (f" after {run.attempt} attempt(s)" if run.attempt else "")
            + "; only a run that was never started can be edited.",
            "Fork it from a checkpoint, or duplicate it.",
        )
