"""The result of a trial, from its run."""

import math

from sqlmodel import Session

from rankscope.contract.config import RunConfig
from rankscope.contract.metrics import TRAIN_LOSS
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import MetricSummary
from rankscope.contract.sweeps.design import SweepDesign, SweepTrialStatus
from rankscope.contract.tables import Run
from rankscope.store.history.series import read_curves
from rankscope.store.sweeps.steps import SweepResult


def rungs_of(session: Session, run: Run, design: SweepDesign, known: list[float | None]) -> list[float | None]:
    """Returns the metric at each rung that the run has reached. `known`: those that were read before."""
    summary = run.metrics.get(design.metric.name)
    if summary is None or len(known) >= len(design.rungs) or summary["last_step"] < design.rungs[len(known)]:
        return known
    points = read_curves(session, run.id, [design.metric.name])[design.metric.name].points
    found = list(known)
    for rung in design.rungs[len(known) :]:
        there = [value for step, value in zip(points.steps, points.values, strict=True) if step >= rung]
        if not there:
            break
        found.append(float(there[0]) if math.isfinite(there[0]) else None)
    return found


def result_of(run: Run | None, design: SweepDesign, rungs: list[float | None]) -> SweepResult:
    """Returns what the run of a trial has shown so far."""
    failed = SweepTrialStatus.failed
    if run is None:
        return SweepResult(failed, message="Its run was deleted.", rungs=rungs)
    if not run.status.is_terminal:
        return SweepResult(rungs=rungs)
    if run.status != RunStatus.done:
        is_diverged = run.reason == "nan_loss"
        return SweepResult(failed, None, is_diverged, run.message or f"Its run is {run.status}.", rungs)
    summary = run.metrics.get(design.metric.name)
    if summary is None:
        return SweepResult(failed, message=f"Its run has no {design.metric.name}.", rungs=rungs)
    value = _value(summary, design)
    if value is None:
        return SweepResult(failed, None, True, f"Its {design.metric.title} is not finite.", rungs)
    return SweepResult(SweepTrialStatus.done, value, rungs=rungs)


def early_end(run: Run, design: SweepDesign, rungs: list[float | None]) -> SweepResult | None:
    """Returns the result of a running run that a stop rule ends now; None if it continues."""
    limits = design.stop_runs
    loss = run.metrics.get(TRAIN_LOSS)
    if limits.max_train_loss is not None and loss is not None and not _is_below(loss["last"], limits.max_train_loss):
        message = f"Its training loss of {loss['last']} is above {limits.max_train_loss:g}."
        return SweepResult(SweepTrialStatus.failed, None, True, message, rungs)
    summary = run.metrics.get(design.metric.name)
    if limits.patience is None or summary is None:
        return None
    config = RunConfig.stored(run.config)
    if config.method.prunes() and run.settled_step is None:
        return None  # evaluations before the final ranks are of a larger model
    best_step = summary["min_step" if design.metric.lower_is_better else "max_step"]
    waited = (summary["last_step"] - best_step) // config.training.eval_every
    value = _value(summary, design)
    if waited < limits.patience or value is None:
        return None
    message = f"Stopped at step {summary['last_step']:,}: no better {design.metric.title} since step {best_step:,}."
    return SweepResult(SweepTrialStatus.done, value, message=message, rungs=rungs)


def _value(summary: MetricSummary, design: SweepDesign) -> float | None:
    """The last value; with early stopping, the best one, so that all runs are measured alike."""
    part = summary["last"]
    if design.stop_runs.patience is not None:
        part = summary["min"] if design.metric.lower_is_better else summary["max"]
    return float(part) if isinstance(part, int | float) else None


def _is_below(value: float | str, limit: float) -> bool:
    return isinstance(value, int | float) and value <= limit
