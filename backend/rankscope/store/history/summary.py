"""Updates the run's row from events, so that lists don't have to read events."""

import math
from collections.abc import Iterable, Mapping

from rankscope.contract.events import RunEvent
from rankscope.contract.stored import MetricSummary
from rankscope.store.history.points import Points, mark


def run_changes(
    batch: Iterable[RunEvent], metrics: Mapping[str, MetricSummary], settled_step: int | None
) -> dict[str, object]:
    """Returns the new values of columns after these events. `metrics`: the previous summaries, which are not modified."""
    changes: dict[str, object] = {}
    after = {name: summary.copy() for name, summary in metrics.items()}
    for event in batch:
        match event.kind:
            case "metrics":
                for name, value in event.values.items():
                    _add(after, settled_step, name, event.step, value)
                changes |= {"metrics": after, "step": event.step}
            case "phase":
                changes["phase"] = event.phase
            case "modules":
                changes |= {
                    "n_modules": len(event.modules),
                    "width": event.width,
                    "total_steps": event.total_steps,
                    "trained_parameters": event.trained_parameters,
                }
            case "ranks":
                # Between two prunings the mask does not change, so this is exact at every step.
                changes |= {"step": event.step, "budget": event.budget, "live": event.live}
            case "steer":
                changes["step"] = event.step
            case "prune" if event.final:
                settled_step = event.step
                changes["settled_step"] = settled_step
            case "artifact":
                changes |= {"artifact": event.name, "kept_parameters": event.kept_parameters}
    return changes


def _add(metrics: dict[str, MetricSummary], settled_step: int | None, name: str, step: int, value: float) -> None:
    """One more point. Evaluations before the final mask are of a larger model than the one that is kept: the first one
    after it restarts the summary, so that "best" is always a model that can be downloaded.
    """
    before = metrics.get(name)
    if before and settled_step is not None and name.startswith("eval_") and before["last_step"] < settled_step <= step:
        before = None
    text = mark(value)
    if before is None or isinstance(before["min"], str):
        metrics[name] = {"last": text, "last_step": step, "min": text, "min_step": step, "max": text, "max_step": step}
        return
    # NaN and infinity can be the last value, but never the minimum or maximum.
    before["last"], before["last_step"] = text, step
    if math.isfinite(value):
        if value < float(before["min"]):
            before["min"], before["min_step"] = value, step
        if value > float(before["max"]):
            before["max"], before["max_step"] = value, step


def summary_of(of: Points, name: str, settled_step: int | None) -> MetricSummary:
    """Returns the summary of these points (at least one, by step), as if they had been added one by one."""
    metrics: dict[str, MetricSummary] = {}
    for step, value in zip(of.steps.tolist(), of.values.tolist(), strict=True):
        _add(metrics, settled_step, name, step, value)
    return metrics[name]
