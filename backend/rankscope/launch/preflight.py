"""Checks before the start: does a run fit the memory of a device and the disk, and how long does it take."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal

from sqlalchemy import Engine
from sqlmodel import Session

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.stored import StoredMemoryEstimate
from rankscope.contract.tables import Worker
from rankscope.launch.activations import DeviceKind
from rankscope.launch.memory import MemoryEstimate, estimate_memory
from rankscope.launch.plan import RunPlan
from rankscope.launch.savings import Saving, savings
from rankscope.store import earlier_runs, workers
from rankscope.store.database.engine import reading
from rankscope.store.earlier_runs import Probed

Fit = Literal["fits", "tight", "busy", "too_large", "unknown"]
"""`tight`: within a tenth of the free memory. `busy`: fits the device, but not what is free now. `unknown`: no worker has
reported its memory."""
_TIGHT = 0.9
_FEWEST_RUNS = 3
"""Runs from which a correction is computed."""
_MOST_RUNS = 20
_CORRECTION_LIMITS = (0.5, 2.0)


@dataclass(frozen=True)
class Device:
    kind: DeviceKind
    name: str
    """For the page: the GPU's name, or the memory of the host."""
    worker: str
    memory_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Correction:
    """The factor of what is not counted exactly."""

    factor: float
    based_on: int
    """Number of earlier runs that determined it; 0 without one."""
    is_measured: bool = False
    """Whether a measurement of the same shape determined it."""


@dataclass(frozen=True)
class MemoryCheck:
    estimate: MemoryEstimate
    correction: "Correction"
    device: Device | None
    fit: Fit
    savings: list[Saving]
    """Changes that make it fit, the one with the least effect on the result first."""

    @property
    def message(self) -> str:
        needed = f"Needs about {_shown(self.estimate.parts.total)}"
        device = self.device
        if device is None:
            kind = "GPU" if self.estimate.device == "gpu" else "CPU"
            return f"{needed} on a {kind}. No worker that is online has reported the memory of one."
        free = f"{_shown(device.free_bytes)} of {_shown(device.memory_bytes)} are free on {device.name}"
        if self.fit == "too_large":
            rest = "" if self.savings else " Use a smaller or quantised model, or an adapter method."
            return f"{needed}, but {device.name} has only {_shown(device.memory_bytes)}.{rest}"
        if self.fit == "busy":
            return f"{needed}, but only {free}. It may run out of memory unless other programs and runs end first."
        if self.fit == "tight":
            return f"{needed}; {free}. This is close to the limit."
        return f"{needed}; {free}."


@dataclass(frozen=True)
class TimeCheck:
    step_s: float
    total_s: float
    includes_evaluations: bool
    """Whether `total_s` includes loading, evaluations and checkpoints."""
    based_on: int
    """Number of earlier runs."""
    probe: Probed | None
    """The newest measurement before a launch."""


@dataclass(frozen=True)
class DiskCheck:
    needed_bytes: int
    free_bytes: int
    checkpoint_bytes: int
    checkpoints: int
    """Largest number at the same time: those that are kept, the best one, and the one that is being written."""

    @property
    def fits(self) -> bool:
        return self.needed_bytes <= self.free_bytes

    @property
    def message(self) -> str:
        needed = f"Checkpoints and result take up to {_shown(self.needed_bytes)} on disk"
        free = f"{_shown(self.free_bytes)} are free in the data folder"
        if self.fits:
            return f"{needed}; {free}."
        return f"{needed}, but only {free}. Free space, or keep fewer checkpoints."


@dataclass(frozen=True)
class Preflight:
    memory: MemoryCheck | None
    """None if the model's sizes are unknown."""
    time: TimeCheck | None
    """None if neither an earlier run nor a measurement had the same shape."""
    disk: DiskCheck | None
    """None if the disk can't be read."""


def preflight(session: Session, plan: RunPlan, data_dir: Path, *, now: float, lost_after_s: float) -> Preflight:
    """Checks a plan against the workers that are online now and what earlier runs have measured."""
    devices = _devices(session, now=now, lost_after_s=lost_after_s)
    kind = device_kind(plan.config, devices)
    return Preflight(
        memory=_memory_check(session, plan, kind, [device for device in devices if device.kind == kind]),
        time=_time_check(session, plan, kind),
        disk=_disk_check(plan, data_dir),
    )


def check_quantization(engine: Engine, config: RunConfig, *, now: float, lost_after_s: float) -> None:
    """Raises BadInput if the model is to be quantised, and no worker that is online has a GPU."""
    bits = config.model.quantization
    if bits == "none":
        return
    with reading(engine) as session:
        devices = _devices(session, now=now, lost_after_s=lost_after_s)
    if not any(device.kind == "gpu" for device in devices):
        raise BadInput(
            [
                FieldProblem(
                    "config.model.quantization",
                    bits,
                    f"is {bits}, which needs a GPU, and no worker that is online has one",
                    "Set it to none, or start a worker on a host with a GPU.",
                )
            ]
        )


def stored_estimate(engine: Engine, plan: RunPlan, *, now: float, lost_after_s: float) -> StoredMemoryEstimate | None:
    """Returns the estimate to keep with a run, for comparison with the measured peak."""
    with reading(engine) as session:
        kind = device_kind(plan.config, _devices(session, now=now, lost_after_s=lost_after_s))
        estimate = estimate_memory(plan, kind)
        if estimate is None:
            return None
        correction = _correction(session, plan, kind)
    return StoredMemoryEstimate(
        device=kind,
        family=family_of(plan),
        counted_bytes=estimate.parts.counted,
        estimated_bytes=estimate.estimated,
        correction=correction.factor,
    )


def find_device_kind(session: Session, config: RunConfig, *, now: float, lost_after_s: float) -> DeviceKind:
    """Returns the kind of device that a run gets on the workers that are online."""
    return device_kind(config, _devices(session, now=now, lost_after_s=lost_after_s))


def device_kind(config: RunConfig, devices: Sequence[Device]) -> DeviceKind:
    """Returns the kind of device that a run gets: with `auto`, a GPU if a worker has one."""
    if config.needs_gpu:
        return "gpu"
    if config.hardware.device != "auto":
        return config.hardware.device
    return "gpu" if any(device.kind == "gpu" for device in devices) else "cpu"


def family_of(plan: RunPlan) -> str:
    """Names the runs whose measured memory is comparable: same kind of model, way of training, precision."""
    kind = plan.model.kind.kind if plan.model.kind else plan.model.architecture
    bits = plan.config.model.quantization
    quantised = "" if bits == "none" else f", {bits}"
    return f"{kind}, {plan.config.method.artifact}, {plan.config.hardware.precision}{quantised}"


def correction_from(peaks: Sequence[tuple[StoredMemoryEstimate, int]]) -> tuple[float, int]:
    """Returns the factor of what is not counted exactly, and the number of runs behind it: (1, 0) if there are too few.

    The median of the ratios of measured and estimated bytes, within limits: one outlier does not change it.
    """
    ratios = [
        (peak - estimate["counted_bytes"]) / estimate["estimated_bytes"]
        for estimate, peak in peaks[:_MOST_RUNS]
        if estimate["estimated_bytes"] > 0
    ]
    if len(ratios) < _FEWEST_RUNS:
        return 1.0, 0
    return _limited(median(ratios)), len(ratios)


def _limited(ratio: float) -> float:
    low, high = _CORRECTION_LIMITS
    return min(max(ratio, low), high)


def _correction(session: Session, plan: RunPlan, kind: DeviceKind) -> Correction:
    """A measurement of the same shape is more informative than runs of other shapes."""
    probe = earlier_runs.newest_probe(session, plan.config, device=kind)
    if probe is not None and probe.result.peak_bytes is not None:
        # It used few rows, all shorter than the longest row.
        seen = replace(plan, dataset=replace(plan.dataset, longest=tuple(probe.result.longest.items())))
        estimate = estimate_memory(seen, kind)
        if estimate is not None and estimate.estimated > 0:
            ratio = (probe.result.peak_bytes - estimate.parts.counted) / estimate.estimated
            return Correction(_limited(ratio), 0, is_measured=True)
    factor, based_on = correction_from(earlier_runs.measured_peaks(session, device=kind, family=family_of(plan)))
    return Correction(factor, based_on)


def _devices(session: Session, *, now: float, lost_after_s: float) -> list[Device]:
    """Returns every device of the workers that are online. A host's memory is a device for its runs on a CPU."""
    devices = []
    for worker, _ in workers.list_workers(session):
        if workers.state(worker, now=now, lost_after_s=lost_after_s) == "online":
            devices += _devices_of(worker)
    return devices


def _devices_of(worker: Worker) -> list[Device]:
    devices = [Device("gpu", gpu["name"], worker.name, gpu["memory_bytes"], gpu["free_bytes"]) for gpu in worker.gpus]
    if worker.memory_bytes is not None and worker.free_memory_bytes is not None:
        devices.append(Device("cpu", worker.host, worker.name, worker.memory_bytes, worker.free_memory_bytes))
    return devices


def _memory_check(session: Session, plan: RunPlan, kind: DeviceKind, devices: Sequence[Device]) -> MemoryCheck | None:
    correction = _correction(session, plan, kind)
    estimate = estimate_memory(plan, kind, correction=correction.factor)
    if estimate is None:
        return None
    device = max(devices, key=lambda one: (one.free_bytes, one.memory_bytes), default=None)
    total = estimate.parts.total
    fit = _fit(total, device)
    found: list[Saving] = []
    if device is not None and fit in ("tight", "busy", "too_large"):
        limit = int(_TIGHT * device.free_bytes)
        found = savings(plan, limit, _total_of(plan, kind, correction.factor), kind)
    return MemoryCheck(estimate, correction, device, fit, found)


def _total_of(plan: RunPlan, kind: DeviceKind, correction: float) -> Callable[[RunConfig], int]:
    def total(config: RunConfig) -> int:
        estimate = estimate_memory(plan, kind, config, correction)
        return estimate.parts.total if estimate else 0

    return total


def _fit(total: int, device: Device | None) -> Fit:
    if device is None:
        return "unknown"
    if total > device.memory_bytes:
        return "too_large"
    if total > device.free_bytes:
        return "busy"
    return "tight" if total > _TIGHT * device.free_bytes else "fits"


def _time_check(session: Session, plan: RunPlan, kind: DeviceKind) -> TimeCheck | None:
    speeds = earlier_runs.measured_speeds(session, plan.config, device=kind)
    probe = earlier_runs.newest_probe(session, plan.config, device=kind)
    measured = [speed.step_s for speed in speeds] + ([probe.result.step_s] if probe else [])
    if not measured:
        return None
    step_s = median(measured)
    whole = [speed.run_s_per_step for speed in speeds if speed.run_s_per_step is not None]
    return TimeCheck(
        step_s=step_s,
        total_s=plan.total_steps * (median(whole) if whole else step_s),
        includes_evaluations=bool(whole),
        based_on=len(speeds),
        probe=probe,
    )


def _disk_check(plan: RunPlan, data_dir: Path) -> DiskCheck | None:
    try:
        free = shutil.disk_usage(data_dir).free
    except OSError:
        return None
    training = plan.config.training
    # Weights and AdamW's two moments, in float32.
    checkpoint = 12 * plan.trained_parameters
    written = -(-plan.total_steps // training.checkpoint_every)
    checkpoints = min(training.keep_checkpoints, written) + training.keep_best + 1
    result = 4 * plan.trained_parameters
    return DiskCheck(checkpoints * checkpoint + result, free, checkpoint, checkpoints)


def _shown(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= 1e9 else f"{max(1, round(size_bytes / 1e6))} MB"
