"""Memory and utilisation of NVIDIA GPUs, by the driver's own library: no process is started, no context made."""

import ctypes
import os
from collections.abc import Callable
from typing import Any

_LIBRARY = "libnvidia-ml.so.1"
_SUCCESS = 0


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class Nvml:
    """The GPUs that this process may use, in the order of CUDA_VISIBLE_DEVICES. Without a driver there are none."""

    def __init__(self, load: Callable[[str], Any] = ctypes.CDLL, wanted: str | None = None) -> None:
        self._devices: list[ctypes.c_void_p] = []
        wanted = os.environ.get("CUDA_VISIBLE_DEVICES") if wanted is None else wanted
        try:
            self._library = load(_LIBRARY)
        except OSError:
            return
        if self._call("nvmlInit_v2"):
            names = [str(number) for number in range(self._count())] if wanted is None else wanted.split(",")
            found = (self._device(name.strip()) for name in names)
            self._devices = [device for device in found if device is not None]

    def __len__(self) -> int:
        return len(self._devices)

    def memory_bytes(self, index: int) -> int | None:
        """Memory of the whole GPU that is taken, by whichever program; None when the driver does not say."""
        memory = _Memory()
        is_known = self._call("nvmlDeviceGetMemoryInfo", self._devices[index], ctypes.byref(memory))
        return int(memory.used) if is_known else None

    def utilization_percent(self, index: int) -> int | None:
        """Share of the last moments in which a kernel ran, 0 to 100; None when the driver does not say."""
        rates = _Utilization()
        is_known = self._call("nvmlDeviceGetUtilizationRates", self._devices[index], ctypes.byref(rates))
        return int(rates.gpu) if is_known else None

    def _count(self) -> int:
        count = ctypes.c_uint()
        return int(count.value) if self._call("nvmlDeviceGetCount_v2", ctypes.byref(count)) else 0

    def _device(self, name: str) -> ctypes.c_void_p | None:
        """By index or UUID, as CUDA_VISIBLE_DEVICES names it."""
        device = ctypes.c_void_p()
        is_found = (
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(int(name)), ctypes.byref(device))
            if name.isdigit()
            else bool(name) and self._call("nvmlDeviceGetHandleByUUID", name.encode(), ctypes.byref(device))
        )
        return device if is_found else None

    def _call(self, function: str, *arguments: Any) -> bool:
        """Whether the driver knows the function and it succeeded."""
        try:
            return bool(getattr(self._library, function)(*arguments) == _SUCCESS)
        except AttributeError:
            return False
