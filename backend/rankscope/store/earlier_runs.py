"""What finished runs and probes have measured, for estimates of new runs: peak memory, and the time of a step."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.config import RunConfig
from rankscope.contract.metrics import PEAK_GPU_MEMORY, PEAK_MEMORY, STEPS_PER_SECOND
from rankscope.contract.probes import ProbeResult
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import Environment, MetricSummary, StoredMemoryEstimate
from rankscope.contract.tables import Run
from rankscope.store import probes

_NEWEST = 100


@dataclass(frozen=True)
class MeasuredSpeed:
    step_s: float
    """Seconds of an optimizer step, without evaluations."""
    run_s_per_step: float | None
    """Seconds of the run for each of its steps, with loading, evaluations and checkpoints; None if it was interrupted."""


def measured_peak(
    estimate: StoredMemoryEstimate, metrics: dict[str, MetricSummary], environment: Environment
) -> int | None:
    """Returns the peak memory of a run on the device of its estimate; None if it was not measured, or on another device."""
    if trained_on(environment) != estimate["device"]:
        return None
    found = metrics.get(PEAK_MEMORY if estimate["device"] == "cpu" else PEAK_GPU_MEMORY)
    return int(found["max"]) if found and isinstance(found["max"], int | float) else None


def trained_on(environment: Environment) -> str | None:
    """Returns `cpu` or `gpu`; None if no attempt has trained."""
    device = environment.get("trained_with", {}).get("device")
    return None if device is None else "cpu" if device.startswith("CPU") else "gpu"


def measured_peaks(session: Session, *, device: str, family: str) -> list[tuple[StoredMemoryEstimate, int]]:
    """Returns estimate and measured peak of the newest finished runs of this kind."""
    rows = session.execute(
        select(col(Run.memory_estimate), col(Run.metrics), col(Run.environment))
        .where(col(Run.status) == RunStatus.done, col(Run.memory_estimate).is_not(None))
        .order_by(col(Run.created_at).desc())
        .limit(_NEWEST)
    )
    found = []
    for estimate, metrics, environment in rows:
        if estimate["device"] == device and estimate["family"] == family:
            peak = measured_peak(estimate, metrics, environment)
            if peak is not None:
                found.append((estimate, peak))
    return found


def measured_speeds(session: Session, config: RunConfig, *, device: str) -> list[MeasuredSpeed]:
    """Returns the speed of the newest finished runs with the same model, method, task, batch, length and precision."""
    rows = session.execute(
        select(
            col(Run.config),
            col(Run.metrics),
            col(Run.environment),
            col(Run.started_at),
            col(Run.ended_at),
            col(Run.total_steps),
            col(Run.attempt),
        )
        .where(
            col(Run.status) == RunStatus.done,
            col(Run.model_id) == config.model.id,
            col(Run.method) == config.method.name,
            col(Run.task) == config.task.name,
        )
        .order_by(col(Run.created_at).desc())
        .limit(_NEWEST)
    )
    wanted = _shape(config)
    found = []
    for stored, metrics, environment, started, ended, steps, attempt in rows:
        speed = metrics.get(STEPS_PER_SECOND, {}).get("last")
        if not isinstance(speed, int | float) or speed <= 0 or trained_on(environment) != device:
            continue
        earlier = RunConfig.stored(stored)
        if _shape(earlier) != wanted:
            continue
        is_whole = attempt == 1 and started and ended and steps and _intervals(earlier) == _intervals(config)
        found.append(MeasuredSpeed(1 / speed, (ended - started) / steps if is_whole else None))
    return found


@dataclass(frozen=True)
class Probed:
    """A measurement before a launch."""

    created_at: float
    result: ProbeResult


def newest_probe(session: Session, config: RunConfig, *, device: str) -> Probed | None:
    """Returns the newest measurement of a configuration of the same shape on this kind of device."""
    wanted = _shape(config)
    for probe in probes.like(session, config):
        result = ProbeResult.model_validate(probe.result)
        if result.device == device and _shape(RunConfig.stored(probe.config)) == wanted:
            return Probed(probe.created_at, result)
    return None


def _shape(config: RunConfig) -> tuple[object, ...]:
    """What determines the time of a step and the memory, in addition to model, method and task."""
    training, hardware = config.training, config.hardware
    return (
        training.batch_size,
        training.gradient_accumulation,
        training.max_length,
        config.task.target_length,
        config.model.quantization,
        hardware.precision,
        hardware.gradient_checkpointing,
        config.method.start_rank,
        getattr(config.method, "target_modules", None),
    )


def _intervals(config: RunConfig) -> tuple[object, ...]:
    training = config.training
    return config.data.id, config.data.max_eval_rows, training.eval_every, training.checkpoint_every
