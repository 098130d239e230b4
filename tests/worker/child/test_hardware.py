"""Memory and load during training: the recorded values, the end of recording, and no effect on the training."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import split
from rankscope.contract.errors import LeaseLost
from rankscope.contract.events import RunEvent
from rankscope.contract.metrics import is_machine_metric
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope_worker.child.hardware import HardwareSampler, read
from rankscope_worker.child.training import run_training
from rankscope_worker.nvml import Nvml
from tests.stack import wait_for
from tests.worker.nvml_driver import LIBRARY, NvmlDriver

OF_THE_HOST = {"host_memory_bytes", "process_memory_bytes", "cpu_percent"}


def is_alive() -> bool:
    return any(thread.name == "hardware" for thread in threading.enumerate())


def test_samples_are_at_the_current_step_and_end_with_the_block() -> None:
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
    with HardwareSampler(lambda _event: None, lambda: 0, 0.0):
        assert not is_alive()


@pytest.mark.parametrize("error", [LeaseLost("gone"), RuntimeError("broken")])
def test_a_failed_record_ends_only_the_thread(error: Exception) -> None:
    def refuse(_event: RunEvent) -> None:
        raise error

    with HardwareSampler(refuse, lambda: 0, 0.001):
        wait_for("the thread to end", lambda: not is_alive(), every_s=0.01)


def test_a_training_records_them_and_computes_the_same(
    data_dir: Path, plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    catalog = Catalog(Settings(data_dir=data_dir))
    config = plan("dynamic_rank").config
    rows = split(catalog.dataset(config.data.id), config.data, config.task)
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


def gpu_values(gpus: Nvml) -> dict[str, float]:
    values = read(psutil.Process(os.getpid()), gpus)
    return {name: value for name, value in values.items() if name.startswith("gpu")}


def test_gpus_are_those_of_cuda_visible_devices_in_its_order(driver: NvmlDriver) -> None:
    driver.show("GPU-aa 4096 3072 55", "GPU-bb 4096 2048 -")  # the second one does not report its utilization
    both = {"gpu0_memory_bytes": 1 << 30, "gpu0_utilization_percent": 55, "gpu1_memory_bytes": 2 << 30}
    assert gpu_values(Nvml()) == both
    assert gpu_values(Nvml("0,1")) == both
    assert gpu_values(Nvml("GPU-bb, GPU-aa")) == {
        "gpu0_memory_bytes": 2 << 30,
        "gpu1_memory_bytes": 1 << 30,
        "gpu1_utilization_percent": 55,
    }
    assert gpu_values(Nvml("")) == {}
    assert gpu_values(Nvml("GPU-cc,7")) == {}


def test_the_driver_responds_again_after_it_was_closed(driver: NvmlDriver) -> None:
    driver.show("GPU-aa 4096 3072 55")
    with Nvml() as gpus:
        assert len(gpus) == 1
    with Nvml() as gpus:
        assert gpu_values(gpus) == {"gpu0_memory_bytes": 1 << 30, "gpu0_utilization_percent": 55}


def test_a_host_whose_driver_is_not_loaded_has_no_gpus(driver: NvmlDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.show("GPU-aa 4096 3072 55")
    monkeypatch.delenv("NVML_TABLE")
    assert gpu_values(Nvml("0")) == {}


@pytest.mark.parametrize("library", ["not a library", "no symbols", "stand-in"])
def test_the_library_is_loaded_by_its_name(
    library: str, driver: NvmlDriver, nvml_library: Path, tmp_path: Path
) -> None:
    """In a separate process, as in the worker: without a usable library there are no GPUs and no error."""
    driver.show_free(1000)
    folder = tmp_path / "library"
    folder.mkdir()
    if library == "stand-in":
        (folder / LIBRARY).symlink_to(nvml_library)
    elif library == "no symbols":
        empty = tmp_path / "empty.c"
        empty.write_text("int unrelated;\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / LIBRARY, empty], check=True)
    else:
        (folder / LIBRARY).write_text("not a library")
    script = "from rankscope_worker.host.gpus import list_gpus; print([gpu.uuid for gpu in list_gpus()])"
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder)}
    listed = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert listed.stdout.strip() == ("['GPU-0']" if library == "stand-in" else "[]")
