"""HardwareSampler: records memory and load of host, process and GPUs every few seconds during training."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import torch

from rankscope.contract.errors import LeaseLost
from rankscope.contract.events import MetricsEvent, RunEvent
from rankscope.contract.metrics import (
    CPU,
    HOST_MEMORY,
    PEAK_GPU_MEMORY,
    PEAK_MEMORY,
    PROCESS_MEMORY,
    gpu_memory,
    gpu_utilization,
)
from rankscope_worker.nvml import Nvml

_log = logging.getLogger(__name__)

_PATIENCE_S = 2.0
"""A hanging driver must not delay the end of a run."""


class HardwareSampler:
    """Within its `with` block, a thread records one event every `every_s` seconds, at the step that `step()` returns.

    host_memory_bytes: used on the host, without reclaimable caches. process_memory_bytes: resident, of this process.
    cpu_percent: of all cores together, by all programs, since the last sample. gpuN_...: of the whole GPU, where N
    counts the GPUs that this process may use. Values that this machine doesn't provide are left out. `every_s` 0: no
    thread.
    """

    def __init__(self, record: Callable[[RunEvent], object], step: Callable[[], int], every_s: float) -> None:
        self._record = record
        self._step = step
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_on, name="hardware", daemon=True)

    def __enter__(self) -> Self:
        if self._every_s > 0:
            self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)

    def _sample_on(self) -> None:
        try:
            gpus = Nvml()  # open until the process ends
            process = psutil.Process()
            psutil.cpu_percent()  # the first call only starts the measurement
            while not self._ended.wait(self._every_s):
                values = read(process, gpus)
                if values and not self._ended.is_set():
                    self._record(MetricsEvent(step=self._step(), values=values))
        except LeaseLost:
            return  # the next record of the training reports the error
        except Exception:
            _log.warning("Memory and load are no longer recorded; training continues.", exc_info=True)


def read_peaks() -> dict[str, float]:
    """Returns the largest memory of this process so far: resident, and allocated by torch on a GPU if it uses one."""
    peaks = {}
    resident = _peak_resident()
    if resident is not None:
        peaks[PEAK_MEMORY] = float(resident)
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        peaks[PEAK_GPU_MEMORY] = float(torch.cuda.max_memory_allocated())
    return peaks


def _peak_resident() -> int | None:
    # Not getrusage: its maximum includes the process from which this one was forked.
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def read(process: psutil.Process, gpus: Nvml) -> dict[str, float]:
    """One sample: metric name -> value."""
    values: dict[str, float | None] = {}
    with suppress(OSError, psutil.Error):
        host = psutil.virtual_memory()
        values[HOST_MEMORY] = host.total - host.available
    with suppress(OSError, psutil.Error):
        values[PROCESS_MEMORY] = process.memory_info().rss
    with suppress(OSError, psutil.Error):
        values[CPU] = psutil.cpu_percent()
    for index in range(len(gpus)):
        memory = gpus.memory(index)
        values[gpu_memory(index)] = memory.used_bytes if memory else None
        values[gpu_utilization(index)] = gpus.utilization_percent(index)
    return {name: float(value) for name, value in values.items() if value is not None}
