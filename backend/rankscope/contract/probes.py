"""A probe: a few steps of a training, which measure its time per step and its peak memory before it is launched."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from rankscope.contract.jobs import JobState
from rankscope.contract.stored import Environment

MOST_STEPS = 50
"""Measured steps; fewer if they take long."""
WARM_UP_STEPS = 2
"""Warm-up steps, which allocate memory and fill caches."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ProbePayload(_Shape):
    """The payload of a `probe` job."""

    config: dict[str, object]
    """Resolved."""
    environment: Environment
    """That of the plan: fingerprints, labels, numbers of rows."""
    needs_gpu: bool


class ProbeResult(_Shape):
    steps: int
    """Measured steps."""
    step_s: float
    """Their mean time."""
    device: Literal["cpu", "gpu"]
    device_name: str
    peak_bytes: int | None
    """Peak memory of the process on a CPU, or of torch's allocations on a GPU; None if the system doesn't report it."""
    longest: dict[str, int]
    """Characters of the longest text that was trained on, by column."""


class ProbeAnswer(_Shape):
    id: str
    status: JobState
    progress: float | None
    """From 0 to 1, while it runs."""
    result: ProbeResult | None
    message: str | None
    """What it waits for, or why it failed."""
    next_step: str | None
