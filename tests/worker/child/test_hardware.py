"""Memory and load beside the training: what is recorded, that it ends, and that it disturbs nothing."""

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.splits import split
from rankscope.contract.errors import LeaseLost
from rankscope.contract.events import RunEvent
from rankscope.contract.metrics import is_machine_metric
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope_worker.child.hardware import HardwareSampler, read
from rankscope_worker.child.training import run_training
from rankscope_worker.nvml import Nvml
from tests.stack import wait_for

OF_THE_HOST = {"host_memory_bytes", "process_memory_bytes", "cpu_percent"}


def is_alive() -> bool:
    return any(thread.name == "hardware" for thread in threading.enumerate())


def test_samples_come_at_the_present_step_and_end_with_the_block() -> None:
    events: list[Any] = []
    step = 3
    with HardwareSampler(events.append, lambda: step, 0.01):
        wait_for("a sample", lambda: len(events) >= 1, every_s=0.01)
        step = 7
        wait_for("a sample of the next step", lambda: events[-1].step == 7, every_s=0.01)
    assert not is_alive()
    assert events[0].step == 3
    assert events[0].values.keys() >= OF_THE_HOST
    assert all(is_machine_metric(name) for event in events for name in event.values)
    values = events[-1].values
    assert 0 < values["process_memory_bytes"] < values["host_memory_bytes"] <= psutil.virtual_memory().total
    assert 0 <= values["cpu_percent"] <= 100


def test_no_thread_without_an_interval() -> None:
    with HardwareSampler([].append, lambda: 0, 0.0):
        assert not is_alive()


@pytest.mark.parametrize("error", [LeaseLost("gone"), RuntimeError("broken")])
def test_a_record_that_fails_ends_the_thread_and_nothing_else(error: Exception) -> None:
    def refuse(_event: RunEvent) -> None:
        raise error

    with HardwareSampler(refuse, lambda: 0, 0.001):
        wait_for("the thread to end", lambda: not is_alive(), every_s=0.01)


def test_a_training_records_them_and_computes_the_same(
    data_dir: Path, plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    catalog = Catalog(Settings(data_dir=data_dir))
    config = plan("dynamic_rank").config
    rows = split(catalog.dataset(config.data.id), config.data)
    folder = catalog.model(config.model.id).folder

    def train(name: str, every_s: float) -> list[Any]:
        events: list[Any] = []
        run_training(
            config, folder, rows, tmp_path / name / "attempt-1", events.append, lambda: False, hardware_every_s=every_s
        )
        assert not is_alive()
        return [event for event in events if event.kind in ("metrics", "ranks", "prune")]

    def computed(events: list[Any]) -> list[Any]:
        return [
            (event.step, {name: value for name, value in event.values.items() if not is_machine_metric(name)})
            if event.kind == "metrics"
            else event
            for event in events
            if event.kind != "metrics" or not all(is_machine_metric(name) for name in event.values)
        ]

    with_samples, without = train("with", 0.001), train("without", 0.0)
    assert any(event.kind == "metrics" and event.values.keys() >= OF_THE_HOST for event in with_samples)
    assert computed(with_samples) == computed(without)
    adapters = [tmp_path / name / "attempt-1" / "adapter" / "adapter_model.safetensors" for name in ("with", "without")]
    assert adapters[0].read_bytes() == adapters[1].read_bytes()


class Driver:
    """Answers as libnvidia-ml does on a host with two GPUs, of which the second one does not tell its load."""

    uuids = (b"GPU-aa", b"GPU-bb")

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self.uuids)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: ctypes.c_uint, device: Any) -> int:
        device._obj.value = index.value + 1
        return 0 if index.value < len(self.uuids) else 2

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, device: Any) -> int:
        if uuid not in self.uuids:
            return 6
        device._obj.value = self.uuids.index(uuid) + 1
        return 0

    def nvmlDeviceGetMemoryInfo(self, device: ctypes.c_void_p, memory: Any) -> int:
        memory._obj.used = (device.value or 0) << 30
        return 0

    def nvmlDeviceGetUtilizationRates(self, device: ctypes.c_void_p, rates: Any) -> int:
        rates._obj.gpu = 55
        return 0 if device.value == 1 else 3


def gpu_values(gpus: Nvml) -> dict[str, float]:
    values = read(psutil.Process(os.getpid()), gpus)
    return {name: value for name, value in values.items() if name.startswith("gpu")}


def test_gpus_are_those_of_cuda_visible_devices_in_its_order() -> None:
    def load(_name: str) -> Driver:
        return Driver()

    both = {"gpu0_memory_bytes": 1 << 30, "gpu0_utilization_percent": 55, "gpu1_memory_bytes": 2 << 30}
    assert gpu_values(Nvml(load, "0,1")) == both
    assert gpu_values(Nvml(load, "GPU-bb, GPU-aa")) == {
        "gpu0_memory_bytes": 2 << 30,
        "gpu1_memory_bytes": 1 << 30,
        "gpu1_utilization_percent": 55,
    }
    assert gpu_values(Nvml(load, "")) == {}
    assert gpu_values(Nvml(load, "GPU-cc,7")) == {}


def test_a_host_without_a_driver_has_no_gpus() -> None:
    def load(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    assert gpu_values(Nvml(load)) == {}
    assert len(Nvml(lambda _name: object(), "0")) == 0
