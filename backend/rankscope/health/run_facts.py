"""Reads the facts for the health rules from the database."""

from sqlmodel import Session

from dynamic_rank.schedule.curve import last_pruning
from rankscope.contract.config import RunConfig, SteerAction, Steering
from rankscope.contract.methods import Method
from rankscope.contract.metrics import STEPS_PER_SECOND, TRAIN_LOSS
from rankscope.contract.status import Phase, RunStatus
from rankscope.contract.tables import Run
from rankscope.health.facts import Facts, NewestCut, NewestRanks, Pruning, Warned
from rankscope.store.history import health_inputs
from rankscope.store.history.series import Curve, read_curves
from rankscope.store.history.snapshots import modules_event

_POINTS = 600
_STEPPING = (Phase.training, Phase.pruning)


def read_facts(session: Session, run: Run, *, lease_s: float, lease_age_s: float | None, now: float) -> Facts:
    """The facts about a run at `now`, in seconds since 1970."""
    config = RunConfig.stored(run.config)
    method = config.method
    ranks = health_inputs.newest_ranks(session, run.id)
    steering = _in_force(run, config, ranks.step if ranks else run.step)
    cut = health_inputs.newest_cut(session, run.id)
    curves = read_curves(session, run.id, [TRAIN_LOSS, STEPS_PER_SECOND], limit=_POINTS)
    losses, speeds = curves[TRAIN_LOSS].points, curves[STEPS_PER_SECOND].points
    return Facts(
        status=run.status,
        method=method,
        step=run.step,
        total_steps=run.total_steps,
        window=None if run.total_steps is None else method.pruning_window(run.total_steps),
        settled_step=run.settled_step,
        held_since=_last_act(steering, "hold") if run.settled_step is None else None,
        frozen_at=_last_act(steering, "freeze"),
        target_rank=_target_rank(method, steering),
        pruning_due=_pruning_due(run, config, ranks),
        pruned_to=_pruned_to(session, run, ranks),
        cut=None if cut is None else NewestCut(cut.step, cut.threshold, cut.scores),
        ranks=_newest_ranks(session, run.id, ranks, weighted=method.counts_parameters),
        losses=list(zip(losses.steps.tolist(), losses.values.tolist(), strict=True)),
        # A starting attempt has no speeds yet; the existing ones are of earlier attempts.
        speeds=()
        if run.status == RunStatus.starting
        else speeds.values[speeds.steps > run.attempt_start_step].tolist(),
        loss_age_s=_loss_age_s(run, curves[TRAIN_LOSS], health_inputs.phase_since(session, run.id), now),
        worker=run.worker,
        lease_s=lease_s,
        lease_age_s=lease_age_s,
        warnings=[
            Warned(event["code"], event["message"], event.get("next_step", ""), event.get("step"))
            for event in health_inputs.warnings(session, run.id)
        ],
    )


def _in_force(run: Run, config: RunConfig, step: int) -> list[Steering]:
    """Steering actions up to `step`; those after the final mask were refused."""
    last = step if run.settled_step is None else min(step, run.settled_step)
    return [entry for entry in config.steering if entry.step <= last]


def _last_act(steering: list[Steering], action: SteerAction) -> int | None:
    """The step of this action, if only changes of the target came after it."""
    acts = [entry for entry in steering if entry.action != "target"]
    return acts[-1].step if acts and acts[-1].action == action else None


def _target_rank(method: Method, steering: list[Steering]) -> int | None:
    """The target rank after all steering; None for methods without one."""
    steered = [entry.target_rank for entry in steering if entry.target_rank is not None]
    if steered:
        return steered[-1]
    return method.end_rank if method.rank_changes == "on_schedule" else None


def _pruning_due(run: Run, config: RunConfig, ranks: health_inputs.UnpackedRanks | None) -> Pruning | None:
    """The newest planned pruning up to the newest snapshot, if it was this run's and not its parent's."""
    if ranks is None or run.total_steps is None:
        return None
    schedule = config.method.budget_schedule(len(ranks.mask), run.total_steps)
    if schedule is None:
        return None
    found = last_pruning(schedule, config.steering, ranks.step)
    # The prunings planned up to the parent's checkpoint were not done by the fork.
    return None if found is None or found[0] <= (run.parent_step or 0) else Pruning(*found)


def _pruned_to(session: Session, run: Run, ranks: health_inputs.UnpackedRanks | None) -> Pruning | None:
    """The pruning that made the newest snapshot's mask. Its event is stored right after the snapshot."""
    if ranks is not None and ranks.is_pruning:
        return Pruning(ranks.step, ranks.budget)
    found = health_inputs.newest_pruning(session, run.id)
    return None if found is None else Pruning(*found)


def _newest_ranks(
    session: Session, run_id: str, found: health_inputs.UnpackedRanks | None, *, weighted: bool
) -> NewestRanks | None:
    modules = modules_event(session, run_id)
    if modules is None or found is None:
        return None
    return NewestRanks(
        step=found.step,
        is_final=found.is_final,
        names=[module["name"] for module in modules["modules"]],
        ranks=found.mask.sum(axis=1).tolist(),
        scores=found.scores[found.mask].tolist(),
        width=found.mask.shape[1],
        costs=[one["out_features"] + one["in_features"] for one in modules["modules"]] if weighted else None,
    )


def _loss_age_s(run: Run, losses: Curve, phase_since: float | None, now: float) -> float | None:
    """Seconds since the last loss of a run that is training now; evaluations, saves and loading don't count."""
    if run.status != RunStatus.running or run.phase not in _STEPPING or not len(losses.points):
        return None
    return now - max(float(losses.points.times[-1]), run.attempt_started_at or 0.0, phase_since or 0.0)
