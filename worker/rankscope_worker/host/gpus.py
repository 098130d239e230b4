"""The GPUs of this host, for the supervising process: which there are, and which one the next run gets."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from rankscope_worker.nvml import Nvml

SETTLE_S = 90.0
"""After this long a run has loaded its model and shows in the GPU's memory."""


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
        """The GPUs now; empty where there are none, or where the driver does not answer within the time limit."""
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
    """GPUs that this process may use (CUDA_VISIBLE_DEVICES is obeyed), except those whose memory cannot be read."""
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
    """The GPU for the next run: the fewest runs of ours, then the most free memory; None when none has room.

    `runs`: UUID -> when each of our runs there was started. One that is younger than `SETTLE_S` may not have taken its
    memory yet, so that `min_free_bytes` are set aside for it. A GPU that another program fills has no room.
    """

    def room(gpu: Gpu) -> int:
        young = sum(now - started < SETTLE_S for started in runs.get(gpu.uuid, ()))
        return gpu.free_bytes - young * min_free_bytes

    fits = [gpu for gpu in gpus if len(runs.get(gpu.uuid, ())) < most and room(gpu) >= min_free_bytes]
    return min(fits, key=lambda gpu: (len(runs.get(gpu.uuid, ())), -room(gpu)), default=None)
