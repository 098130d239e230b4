"""What the API returns about memory, time and disk of a run: before its start, and what was measured."""

from typing import Literal

from pydantic import Field

from rankscope.api.shapes.base import Shape
from rankscope.contract.tables import Run
from rankscope.launch.memory import MemoryParts
from rankscope.launch.preflight import DiskCheck, Fit, MemoryCheck, Preflight, TimeCheck
from rankscope.launch.savings import Effect
from rankscope.store.earlier_runs import Probed, measured_peak


class MemoryPartsShape(Shape):
    """Bytes at the peak of a training step."""

    weights: int
    adapter: int
    """Adapter at its initial rank, and head. 0 if all weights are trained."""
    gradients: int
    optimizer: int
    activations: int
    process: int
    """Python, torch and other libraries; on a GPU, the CUDA context."""


class SavingShape(Shape):
    """A change to the configuration that makes it fit."""

    label: str = Field(examples=["Batch 8 with accumulation 2"])
    changes: dict[str, object]
    """Dotted field -> value."""
    total_bytes: int
    effect: Effect
    """`same_result`: computes the same, except for rounding and random dropout."""


class MemoryPlan(Shape):
    device: Literal["cpu", "gpu"]
    device_name: str | None
    """The GPU, or the host of the worker; null without a worker."""
    worker: str | None
    parts: MemoryPartsShape
    total_bytes: int
    device_bytes: int | None
    free_bytes: int | None
    """As last reported by the worker with the most free memory on this kind of device."""
    tokens: int
    """Length of the longest row."""
    correction: float
    """Factor of activations and process, from earlier runs."""
    based_on: int
    """Number of earlier runs that determined the correction."""
    is_measured: bool
    """Whether a measurement of the same shape determined the correction. If it is false and `based_on` 0: not corrected."""
    fit: Fit
    message: str
    savings: list[SavingShape]
    """The mildest first. Empty if it fits, or if no such change is enough."""


class ProbePlan(Shape):
    """A measurement of a few steps before a launch."""

    steps: int
    step_s: float
    peak_bytes: int | None
    device_name: str
    measured_at: float


class TimePlan(Shape):
    step_s: float
    total_s: float
    includes_evaluations: bool
    """Whether `total_s` includes loading, evaluations and checkpoints."""
    based_on: int
    """Number of earlier runs with the same model, method, batch and length on this kind of device."""
    probe: ProbePlan | None
    """The newest measurement of a configuration of the same shape on this kind of device."""


class DiskPlan(Shape):
    needed_bytes: int
    free_bytes: int
    """In the data folder."""
    checkpoint_bytes: int
    checkpoints: int
    """Largest number at the same time."""
    fits: bool
    message: str


class PreflightShape(Shape):
    """Whether a run fits, and how long it takes: estimates, none of which prevents a launch."""

    memory: MemoryPlan | None
    """Null if the sizes of the model are unknown."""
    time: TimePlan | None
    """Null if neither an earlier run nor a measurement had the same shape."""
    disk: DiskPlan | None


class RunMemory(Shape):
    """Estimated and measured peak of a run's memory, on the device for which it was planned."""

    device: Literal["cpu", "gpu"]
    estimated_bytes: int
    measured_bytes: int | None
    """Null until the training has ended, and if it ran on another kind of device."""


def preflight_shape(found: Preflight) -> PreflightShape:
    return PreflightShape(
        memory=_memory(found.memory) if found.memory else None,
        time=_time(found.time) if found.time else None,
        disk=_disk(found.disk) if found.disk else None,
    )


def run_memory(run: Run) -> RunMemory | None:
    estimate = run.memory_estimate
    if estimate is None:
        return None
    return RunMemory(
        device=estimate["device"],
        estimated_bytes=estimate["counted_bytes"] + round(estimate["estimated_bytes"] * estimate["correction"]),
        measured_bytes=measured_peak(estimate, run.metrics, run.environment),
    )


def _memory(check: MemoryCheck) -> MemoryPlan:
    device = check.device
    return MemoryPlan(
        device=check.estimate.device,
        device_name=device.name if device else None,
        worker=device.worker if device else None,
        parts=_parts(check.estimate.parts),
        total_bytes=check.estimate.parts.total,
        device_bytes=device.memory_bytes if device else None,
        free_bytes=device.free_bytes if device else None,
        tokens=check.estimate.tokens,
        correction=check.correction.factor,
        based_on=check.correction.based_on,
        is_measured=check.correction.is_measured,
        fit=check.fit,
        message=check.message,
        savings=[
            SavingShape(label=each.label, changes=each.changes, total_bytes=each.total_bytes, effect=each.effect)
            for each in check.savings
        ],
    )


def _parts(parts: MemoryParts) -> MemoryPartsShape:
    return MemoryPartsShape(
        weights=parts.weights,
        adapter=parts.adapter,
        gradients=parts.gradients,
        optimizer=parts.optimizer,
        activations=parts.activations,
        process=parts.process,
    )


def _time(check: TimeCheck) -> TimePlan:
    return TimePlan(
        step_s=check.step_s,
        total_s=check.total_s,
        includes_evaluations=check.includes_evaluations,
        based_on=check.based_on,
        probe=None if check.probe is None else _probe(check.probe),
    )


def _probe(found: Probed) -> ProbePlan:
    result = found.result
    return ProbePlan(
        steps=result.steps,
        step_s=result.step_s,
        peak_bytes=result.peak_bytes,
        device_name=result.device_name,
        measured_at=found.created_at,
    )


def _disk(check: DiskCheck) -> DiskPlan:
    return DiskPlan(
        needed_bytes=check.needed_bytes,
        free_bytes=check.free_bytes,
        checkpoint_bytes=check.checkpoint_bytes,
        checkpoints=check.checkpoints,
        fits=check.fits,
        message=check.message,
    )
