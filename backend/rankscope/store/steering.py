"""Steering requests for a running training, stored with the run until they take effect or are refused."""

from collections.abc import Iterable

from pydantic import BaseModel
from sqlmodel import Session

from rankscope.contract.config import MAX_STEERING, SteerAction, Steering, stored_steering
from rankscope.contract.errors import BadInput, FieldProblem, InvalidTransition
from rankscope.contract.methods import METHODS
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import StoredSteerRequest
from rankscope.contract.tables import Run
from rankscope.store import runs

_MOST = 20
_LIVE = frozenset({RunStatus.starting, RunStatus.running, RunStatus.interrupted})


class _Method(BaseModel):
    """The only field of a stored method that is needed while the database is locked."""

    initial_rank: int


def done_so_far(run: Run) -> list[Steering]:
    """Steering actions up to the run's step; its configuration may list later ones."""
    return [entry for entry in stored_steering(run.config) if entry.step <= run.step]


def is_held(actions: Iterable[SteerAction]) -> bool:
    """Whether pruning is held after these actions, in this order."""
    return [action for action in actions if action != "target"][-1:] == ["hold"]


def request_steer(session: Session, run_id: str, action: SteerAction, target_rank: int | None, *, now: float) -> Run:
    """Stores a request, which the training applies at the end of the current step. Raises if it can't be applied."""
    run = session.get(Run, run_id, populate_existing=True, with_for_update=True) or runs.get_run(session, run_id)
    _check(run, action, target_rank)
    request: StoredSteerRequest = {"id": runs.new_run_id(), "action": action, "target_rank": target_rank, "time": now}
    run.steer_requests = [*run.steer_requests, request]
    session.add(run)
    session.flush()
    return run


def _check(run: Run, action: SteerAction, target_rank: int | None) -> None:
    if not METHODS[run.method].can_be_steered:
        steerable = [name for name, kind in METHODS.items() if kind.can_be_steered]
        raise InvalidTransition(
            f"Run {run.id} has method {run.method}, which can't be steered.",
            f"Methods that can be steered: {', '.join(steerable)}.",
        )
    if run.status not in _LIVE:
        raise InvalidTransition(
            f"Run {run.id} is {run.status}; only a live run can be steered.", "Fork it from a checkpoint instead."
        )
    if run.settled_step is not None:
        raise InvalidTransition(
            f"The mask of run {run.id} is final since step {run.settled_step}.",
            "Fork it from a checkpoint before that step.",
        )
    if len(run.steer_requests) >= _MOST:
        raise InvalidTransition(
            f"Run {run.id} has {_MOST} pending steering requests.", "Wait until the current step ends."
        )
    if len(stored_steering(run.config)) + len(run.steer_requests) >= MAX_STEERING:
        raise InvalidTransition(
            f"Run {run.id} has been steered {MAX_STEERING:,} times, the maximum in a configuration.",
            "Fork it from a checkpoint instead.",
        )
    held = is_held(
        [*(entry.action for entry in done_so_far(run)), *(request["action"] for request in run.steer_requests)]
    )
    if action == "release" and not held:
        raise InvalidTransition(f"Pruning of run {run.id} is not held.", "Nothing to do.")
    if action == "hold" and held:
        raise InvalidTransition(f"Pruning of run {run.id} is already held.", "Nothing to do.")
    if (action == "target") != (target_rank is not None):
        raise BadInput(
            [
                FieldProblem(
                    "target_rank",
                    target_rank,
                    f"does not fit action {action}",
                    "Set target_rank for the action target only.",
                )
            ]
        )
    highest = _Method.model_validate(run.config["method"]).initial_rank
    if target_rank is not None and target_rank > highest:
        raise BadInput(
            [
                FieldProblem(
                    "target_rank",
                    target_rank,
                    f"is {target_rank}, above the initial rank {highest}",
                    f"Use {highest} or less.",
                )
            ]
        )
