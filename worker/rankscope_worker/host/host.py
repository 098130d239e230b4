"""Host: the state of one worker process: its slots, the runs in them, and whether it is draining."""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from celery import Celery
from sqlalchemy import Engine

from rankscope.contract.stored import StoredGpu
from rankscope.settings import Settings
from rankscope.store.doorbell import Doorbell
from rankscope_worker.host.celery_app import Nudger
from rankscope_worker.host.forks import Forks
from rankscope_worker.host.gpus import Gpu, GpuReader, choose
from rankscope_worker.host.supervisor import Supervisor


class Slot(NamedTuple):
    """A slot for one run: its number, and its GPU (None on a host without GPUs)."""

    number: int
    gpu: Gpu | None


@dataclass
class Host:
    name: str
    settings: Settings
    engine: Engine
    doorbell: Doorbell
    celery: Celery
    nudger: Nudger
    """Sends to the queue that only this worker reads."""
    slots: int
    gpus: list[Gpu]
    """The GPUs at the start. `gpu_reader` reads their current state."""
    gpu_reader: GpuReader = field(default_factory=GpuReader)
    forks: Forks = field(default_factory=Forks)
    """Starts the training processes."""
    _free: list[int] = field(init=False)
    _started: dict[int, tuple[str, float]] = field(default_factory=dict, init=False)
    """Slot in use -> its GPU, and since when."""
    _busy: dict[int, Supervisor] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stops: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._free = list(range(self.slots))

    @property
    def has_gpu(self) -> bool:
        return bool(self.gpus)

    @property
    def jobs_folder(self) -> Path:
        """The folders of its running jobs. Its next start removes those that a SIGKILL has left."""
        return self.settings.data_dir / f"worker-{quote(self.name, safe='')}.jobs"

    @property
    def is_draining(self) -> bool:
        return self._stops > 0

    def is_outdated(self) -> bool:
        """Whether RankScope was upgraded since this worker started. It then takes no new runs or jobs."""
        return self.forks.installation.is_outdated()

    @property
    def has_room(self) -> bool:
        """Whether a slot is free and, on a host with GPUs, there is memory for one more run."""
        if not self._free or self.is_draining or self.is_outdated():
            return False
        return not self.gpus or self._choose_gpu(self.gpu_reader.read()) is not None

    @property
    def threads_a_slot(self) -> int:
        """Threads per training process, so that those of all slots fit the host's cores."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self.slots)

    def take_slot(self) -> Slot | None:
        """Takes a free slot, with a GPU that has memory for one more run. Returns None if there isn't one."""
        if self.is_outdated():
            return None
        gpus_now = self.gpu_reader.read() if self.gpus else []  # before the lock: the driver may take seconds
        with self._lock:
            if not self._free or self.is_draining:
                return None
            gpu = self._choose_gpu(gpus_now)
            if self.gpus and gpu is None:
                return None
            number = self._free.pop(0)
            if gpu:
                self._started[number] = (gpu.uuid, time.monotonic())
            return Slot(number, gpu)

    def release_slot(self, slot: Slot) -> None:
        with self._lock:
            self._busy.pop(slot.number, None)
            self._started.pop(slot.number, None)
            self._free.append(slot.number)
            self._free.sort()

    def put_in_slot(self, slot: Slot, supervisor: Supervisor) -> None:
        """Registers the run, so that a stop of the worker reaches it, even a stop that has just happened."""
        with self._lock:
            self._busy[slot.number] = supervisor
        if self.is_draining:
            supervisor.drain()

    def gpu_report(self) -> list[StoredGpu]:
        """Returns each GPU with its memory, our runs on it, and whether other programs use too much of its memory for a run."""
        runs = self._runs_by_gpu()
        report: list[StoredGpu] = []
        for gpu in self.gpu_reader.read():
            mine = len(runs.get(gpu.uuid, ()))
            is_filled = not mine and gpu.free_bytes < self.settings.min_free_gpu_memory
            report.append(
                StoredGpu(
                    index=gpu.index,
                    uuid=gpu.uuid,
                    name=gpu.name,
                    memory_bytes=gpu.memory_bytes,
                    free_bytes=gpu.free_bytes,
                    runs=mine,
                    is_filled=is_filled,
                )
            )
        return report

    def _choose_gpu(self, gpus_now: list[Gpu]) -> Gpu | None:
        settings = self.settings
        return choose(
            gpus_now,
            self._runs_by_gpu(),
            most=settings.max_runs_per_gpu,
            min_free_bytes=settings.min_free_gpu_memory,
            now=time.monotonic(),
        )

    def _runs_by_gpu(self) -> dict[str, list[float]]:
        runs: dict[str, list[float]] = {}
        for uuid, started in list(self._started.values()):
            runs.setdefault(uuid, []).append(started)
        return runs

    def stop(self) -> None:
        """First call: training processes save and exit, and no run is claimed. Second call: they are killed.

        Called by a signal handler, so it takes no lock.
        """
        self._stops += 1
        for supervisor in list(self._busy.values()):
            if self._stops == 1:
                supervisor.drain()
            else:
                supervisor.kill()
