"""What you can do about a run that has ended, as one click."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.contract.batch import smaller_batch
from rankscope.contract.config import RunConfig
from rankscope.contract.reasons import FILES_AT_FAULT, OUT_OF_MEMORY, UNCHANGED_WOULD_FAIL
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run

RunAction = Literal["resume", "fork"]


class Remedy(BaseModel):
    """What can be done about a run that has ended, as one call."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    action: Literal["resume", "retry", "fork", "launch"]
    """`launch` is a new run by `POST /runs` with this run's configuration and the changes merged into it."""
    label: str = Field(examples=["Retry with batch 8 and accumulation 2"])
    step: int | None
    """Of action fork."""
    changes: dict[str, object]


def remedy_of(run: Run, kept_steps: Sequence[int]) -> Remedy | None:
    """The remedy for a failed or stopped run; None if only a new configuration helps. `kept_steps`: steps of its checkpoints."""
    if run.status not in (RunStatus.failed, RunStatus.stopped) or run.reason in UNCHANGED_WOULD_FAIL:
        return None
    if run.reason in OUT_OF_MEMORY:
        smaller = smaller_batch(run.config)
        if smaller is None:
            return None
        batch, accumulation = smaller
        return Remedy(
            action="retry",
            label=f"Retry with batch {batch} and accumulation {accumulation}",
            step=None,
            changes={"training": {"batch_size": batch, "gradient_accumulation": accumulation}},
        )
    if run.reason == "nan_loss":
        rate = float(f"{RunConfig.stored(run.config).training.learning_rate / 3:.1g}")
        changes = {"training": {"learning_rate": rate}}
        if not kept_steps:
            return Remedy(
                action="launch", label=f"Start a new run with learning rate {rate:g}", step=None, changes=changes
            )
        step = max(kept_steps)
        return Remedy(
            action="fork", label=f"Fork from step {step} with learning rate {rate:g}", step=step, changes=changes
        )
    if run.status == RunStatus.failed and not kept_steps:
        return Remedy(action="retry", label="Start again from step 0", step=None, changes={})
    return Remedy(action="resume", label="Resume", step=None, changes={})


def unavailable_actions(run: Run, kept_steps: Sequence[int]) -> dict[RunAction, str]:
    """Returns the actions that are not available, with the reason. `kept_steps`: steps of the run's checkpoints."""
    reasons: dict[RunAction, str] = {}
    if run.status == RunStatus.failed and not kept_steps and run.reason not in FILES_AT_FAULT:
        reasons["resume"] = "The run has no checkpoint to resume from."
    if run.attempt == 0:
        reasons["fork"] = "The run has not started, so there is no checkpoint to fork from."
    elif run.status.is_terminal and not kept_steps:
        reasons["fork"] = "The run has no checkpoint to fork from."
    return reasons
