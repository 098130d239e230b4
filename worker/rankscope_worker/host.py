"""Host: what one worker process has and does. Slots, the runs in them, and whether it is about to end."""

import os
import threading
from dataclasses import dataclass, field

from celery import Celery
from sqlalchemy import Engine

from rankscope.settings import Settings
from rankscope.store.doorbell import Doorbell
from rankscope_worker.celery_app import Nudger
from rankscope_worker.gpus import Gpu
from rankscope_worker.supervisor import Supervisor


@dataclass
class Host:
    name: str
    settings: Settings
    engine: Engine
    doorbell: Doorbell
    celery: Celery
    nudger: Nudger
    """Sends to the queue that this worker alone reads."""
    slots: int
    gpus: list[Gpu]
    _free: list[int] = field(init=False)
    _busy: dict[int, Supervisor] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stops: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._free = list(range(self.slots))

    @property
    def has_gpu(self) -> bool:
        return bool(self.gpus)

    @property
    def is_draining(self) -> bool:
        return self._stops > 0

    @property
    def free_slots(self) -> int:
        return len(self._free)

    @property
    def threads_a_slot(self) -> int:
        """Cores for each child, so that those of all slots together fit the host."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self.slots)

    def take_slot(self) -> int | None:
        with self._lock:
            return self._free.pop(0) if self._free and not self.is_draining else None

    def release_slot(self, slot: int) -> None:
        with self._lock:
            self._busy.pop(slot, None)
            self._free.append(slot)
            self._free.sort()

    def put_in_slot(self, slot: int, supervisor: Supervisor) -> None:
        """From here on a stop of the worker reaches this run, also one that came a moment before."""
        with self._lock:
            self._busy[slot] = supervisor
        if self.is_draining:
            supervisor.drain()

    def stop(self) -> None:
        """First call: every child saves and leaves, nothing new is claimed. Second call: children are killed.

        Called by a signal handler, so it takes no lock.
        """
        self._stops += 1
        for supervisor in list(self._busy.values()):
            if self._stops == 1:
                supervisor.drain()
            else:
                supervisor.kill()
