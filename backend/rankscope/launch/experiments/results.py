"""The result of a trial, from its ended run."""

import json
import math
from collections.abc import Sequence

from rankscope.contract.evaluation.row_values import read_row_values
from rankscope.contract.experiments.design import LARGEST_RESULT, Collapse, Design
from rankscope.contract.metrics import EVALUATION
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.contract.tasks import TASKS
from rankscope.data_folder import is_plain_file
from rankscope.exports.artifacts import find_artifact
from rankscope.exports.row_values import find_row_values
from rankscope.settings import Settings
from rankscope.store.experiments.steps import Ended
from rankscope.store.experiments.trials import TrialResult


def result_of(settings: Settings, run: Run | None, design: Design, task: str) -> Ended | None:
    """Returns how the run of a trial ended; None while it may still give a result."""
    if run is None:
        return Ended(None, message="Its run was deleted.")
    if not run.status.is_terminal:
        return None
    if run.status != RunStatus.done:
        if run.reason == "nan_loss":
            return Ended(TrialResult(value=None, metrics=_metrics(run), collapse=Collapse.diverged))
        return Ended(None, message=run.message or f"Its run is {run.status}.")
    metrics = _metrics(run)
    value = metrics.get(design.metric.name)
    if value is None:
        return Ended(None, message=f"Its run has no {design.metric.name}.")
    if not isinstance(value, int | float) or abs(value) > LARGEST_RESULT:  # NaN and infinity are stored as texts
        return Ended(TrialResult(value=None, metrics=metrics, collapse=Collapse.diverged))
    result = TrialResult(
        value=value,
        metrics=metrics,
        ranks=_ranks(settings, run),
        kept_parameters=run.kept_parameters,
        collapse=Collapse.majority if _predicts_one_class(run, metrics, design, task) else None,
    )
    return Ended(result, _scores(settings, run, design.metric.name, value))


def _predicts_one_class(run: Run, metrics: dict[str, float | str], design: Design, task: str) -> bool:
    """Whether the model predicts a single class: it gets as many rows right as some class has, and a correlation of 0.

    The latter only if the task has a metric that is 0 for a constant prediction.
    """
    kind = TASKS[run.task]
    right, agreement = metrics.get(kind.share_of_right_rows or ""), metrics.get(kind.zero_for_one_guess or "")
    if not isinstance(right, int | float) or (isinstance(agreement, int | float) and agreement != 0):
        return False
    shares = [share for one in design.tasks if one.name == task for share in (one.majority, *one.class_shares)]
    return any(share is not None and abs(right - share) < 1e-9 for share in shares)


def _metrics(run: Run) -> dict[str, float | str]:
    """The last value of each metric of the evaluation."""
    return {name: one["last"] for name, one in run.metrics.items() if name.startswith(EVALUATION)}


def _ranks(settings: Settings, run: Run) -> dict[str, int] | None:
    found = find_artifact(settings, run)
    if found is None or not is_plain_file(settings.runs_dir, path := found.folder / "rank_pattern.json"):
        return None
    try:
        ranks: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return ranks


def _scores(settings: Settings, run: Run, metric: str, value: float) -> Sequence[float] | None:
    """The numbers of the evaluation rows, if their mean is the metric."""
    file = find_row_values(settings, run)
    if file is None:
        return None
    try:
        column = read_row_values(file).values.get(metric.removeprefix(EVALUATION))
    except (OSError, ValueError):
        return None
    if not column or not math.isclose(sum(column) / len(column), value, rel_tol=1e-4, abs_tol=1e-6):
        return None
    return column
