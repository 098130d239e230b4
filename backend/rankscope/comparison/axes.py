"""The horizontal axes on which curves of several runs are compared."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from sqlmodel import Session

from rankscope.comparison.cautions import rows_a_step
from rankscope.contract.config import RunConfig
from rankscope.contract.metrics import TOKENS_SEEN
from rankscope.contract.tables import Run
from rankscope.store import runs
from rankscope.store.history import snapshots
from rankscope.store.history.points import Floats, Points
from rankscope.store.history.rank_columns import module_ranks
from rankscope.store.history.series import read_curves

CurveAxis = Literal["step", "progress", "time", "live_parameters", "rows", "tokens"]
Places = Callable[[Points], Floats]
"""Points -> the position of each on the axis."""
_FRAMES = 100
_TOKEN_POINTS = 400
_NOT_STARTED = "it has not started"
_STILL_OPEN_S = 1e9


def places_on(session: Session, run: Run, config: RunConfig, axis: CurveAxis) -> Places | str:
    """The positions of a run's points, or why the run has none on this axis.

    time: seconds in which a worker trained the run, without the time between attempts. live_parameters: the number of
    adapter parameters at that step. tokens: those of the inputs, without padding.
    """
    match axis:
        case "step":
            return lambda of: of.steps.astype(float)
        case "progress":
            total = run.total_steps
            return (lambda of: of.steps.astype(float) / total) if total else "its number of steps is not known yet"
        case "rows":
            rows = rows_a_step(config)
            return lambda of: of.steps.astype(float) * rows
        case "tokens":
            return _tokens(session, run)
        case "time":
            return _trained_time(session, run)
        case "live_parameters":
            return _live_parameters(session, run)


def trained_seconds(session: Session, run: Run, now: float) -> float | None:
    """How long workers have trained the run; None before the first attempt."""
    attempts = runs.attempts_of(session, run.id)
    return sum((one.ended_at or now) - one.started_at for one in attempts) if attempts else None


def _trained_time(session: Session, run: Run) -> Places | str:
    knots: list[float] = []
    seconds = [0.0]
    for attempt in runs.attempts_of(session, run.id):
        begin = max(attempt.started_at, knots[-1]) if knots else attempt.started_at
        end = max(begin, begin + _STILL_OPEN_S if attempt.ended_at is None else attempt.ended_at)
        knots += [begin, end]
        seconds += [seconds[-1] + end - begin, seconds[-1] + end - begin]
    if not knots:
        return _NOT_STARTED
    return lambda of: np.interp(of.times, knots, seconds[:-1])


def _tokens(session: Session, run: Run) -> Places | str:
    if TOKENS_SEEN not in run.metrics:
        return "its tokens were not counted, because an earlier version trained it" if run.metrics else _NOT_STARTED
    # Between two points of the reduced curve, the number of tokens per step is nearly constant.
    curve = read_curves(session, run.id, [TOKENS_SEEN], limit=_TOKEN_POINTS)[TOKENS_SEEN].points
    steps, tokens = curve.steps.astype(float), curve.values
    if run.parent_id is None:
        steps, tokens = np.concatenate([[0.0], steps]), np.concatenate([[0.0], tokens])
    return lambda of: np.interp(of.steps, steps, tokens)


def _live_parameters(session: Session, run: Run) -> Places | str:
    found = _live(session, run, _FRAMES)
    if found is None:
        fixed = run.kept_parameters or run.trained_parameters
        return (lambda of: np.full(len(of), float(fixed))) if fixed else "its parameters are not known yet"
    steps, live = found
    return lambda of: live[np.maximum(np.searchsorted(steps, of.steps, "right") - 1, 0)]


def live_parameters(session: Session, run: Run) -> int | None:
    """Number of adapter parameters at the newest ranks; for a run without ranks, the parameters that it trains."""
    found = _live(session, run, 1)
    return run.trained_parameters if found is None else int(found[1][-1])


def _live(session: Session, run: Run, frames: int) -> tuple[npt.NDArray[np.int64], Floats] | None:
    """Steps, and the number of adapter parameters from each of them on; None without rank snapshots."""
    event = snapshots.modules_event(session, run.id)
    found = snapshots.live_masks(session, run.id, event, limit=frames) if event else []
    if not event or not found:
        return None
    sizes = np.array([module["out_features"] + module["in_features"] for module in event["modules"]], float)
    live = module_ranks(found, len(event["modules"]), event["width"]) @ sizes
    return np.array([frame["step"] for frame in found]), live
