"""The GPUs of this host, and the choice of a GPU for the next run."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from rankscope_worker.nvml import Nvml

SETTLE_S = 90.0
"""Time after which a run has loaded its model, so that the GPU's free memory accounts for it."""


@dataclass(frozen=True)
class Gpu:
    index: int
    uuid: str
    name: str
    memory_bytes: int
    free_bytes: int


class GpuReader:
    """Reads the GPUs in a separate thread, so that a driver that hangs does not block the worker.

    At most one such thread exists at a time: while it hangs, later calls wait for it too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: Future[list[Gpu]] | None = None

    def read(self, timeout_s: float = 5.0) -> list[Gpu]:
        """Returns the current state of the GPUs; empty if there are none or the driver does not respond in time."""
        with self._lock:
            if self._pending is None or self._pending.done():
                self._pending = Future()
                threading.Thread(target=_answer, args=(self._pending,), name="gpus", daemon=True).start()
            pending = self._pending
        try:
            return pending.result(timeout_s)
        except TimeoutError:
            return []


def _answer(pending: Future[list[Gpu]]) -> None:
    try:
        pending.set_result(list_gpus())
    except Exception as error:
        pending.set_exception(error)


def list_gpus() -> list[Gpu]:
    """Returns the GPUs that this process may use by CUDA_VISIBLE_DEVICES, except those whose memory can't be read."""
    gpus = []
    with Nvml() as driver:
        for number in range(len(driver)):
            index, uuid, memory = driver.host_index(number), driver.uuid(number), driver.memory(number)
            if index is not None and uuid and memory:
                name = driver.name(number) or "NVIDIA GPU"
                gpus.append(Gpu(index, uuid, name, memory.total_bytes, memory.free_bytes))
    return gpus


def choose(
    gpus: Sequence[Gpu], runs: Mapping[str, Sequence[float]], *, most: int, min_free_bytes: int, now: float
) -> Gpu | None:
    """Returns the GPU for the next run: the one with the fewest runs, then the most free memory. None if none is available.

    `runs`: UUID -> start times of our runs on it. A run that is younger than `SETTLE_S` may not have allocated its memory
    yet, so `min_free_bytes` are reserved for it. A GPU whose memory is used by another program is not available.
    """

    def room(gpu: Gpu) -> int:
        young = sum(now - started < SETTLE_S for started in runs.get(gpu.uuid, ()))
        return gpu.free_bytes - young * min_free_bytes

    fits = [gpu for gpu in gpus if len(runs.get(gpu.uuid, ())) < most and room(gpu) >= min_free_bytes]
    return min(fits, key=lambda gpu: (len(runs.get(gpu.uuid, ())), -room(gpu)), default=None)
