"""NVIDIA GPUs through NVML, the driver's management library: no process is started and no CUDA context created."""

import os
from collections.abc import Callable
from typing import NamedTuple, Self, TypeVar

import pynvml

Value = TypeVar("Value")


class Memory(NamedTuple):
    total_bytes: int
    free_bytes: int
    used_bytes: int


class Nvml:
    """The GPUs that this process may use, in the order of CUDA_VISIBLE_DEVICES; none without a driver.

    Values that the driver does not report, or fails to read, are None.
    """

    def __init__(self, wanted: str | None = None) -> None:
        self._devices: list[object] = []
        self._is_open = False
        wanted = os.environ.get("CUDA_VISIBLE_DEVICES") if wanted is None else wanted
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return
        self._is_open = True
        count = _read(pynvml.nvmlDeviceGetCount) or 0
        names = [str(number) for number in range(count)] if wanted is None else wanted.split(",")
        found = (_device(name.strip()) for name in names)
        self._devices = [device for device in found if device is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._is_open:
            self._is_open = False
            _read(pynvml.nvmlShutdown)

    def __len__(self) -> int:
        return len(self._devices)

    def host_index(self, number: int) -> int | None:
        """The GPU's index among all GPUs of the host."""
        return _read(lambda: int(pynvml.nvmlDeviceGetIndex(self._devices[number])))

    def uuid(self, number: int) -> str | None:
        return _read(lambda: str(pynvml.nvmlDeviceGetUUID(self._devices[number])))

    def name(self, number: int) -> str | None:
        return _read(lambda: str(pynvml.nvmlDeviceGetName(self._devices[number])))

    def memory(self, number: int) -> Memory | None:
        """Memory of the GPU, including that of other programs."""

        def query() -> Memory:
            memory = pynvml.nvmlDeviceGetMemoryInfo(self._devices[number])
            return Memory(int(memory.total), int(memory.free), int(memory.used))

        return _read(query)

    def utilization_percent(self, number: int) -> int | None:
        """Share of the last sample period in which a kernel ran, 0 to 100."""
        return _read(lambda: int(pynvml.nvmlDeviceGetUtilizationRates(self._devices[number]).gpu))


def _device(name: str) -> object | None:
    """The handle of a GPU by its index or UUID, as CUDA_VISIBLE_DEVICES names it."""
    if name.isascii() and name.isdigit():
        return _read(lambda: pynvml.nvmlDeviceGetHandleByIndex(int(name)))
    return _read(lambda: pynvml.nvmlDeviceGetHandleByUUID(name)) if name else None


def _read(query: Callable[[], Value]) -> Value | None:
    """Returns the result, or None if the driver does not support the function or the call fails."""
    try:
        return query()
    except pynvml.NVMLError:
        return None
