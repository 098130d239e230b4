"""Slots: which GPU the next run gets, according to a stand-in for NVIDIA's driver."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.database.engine import create_engine, reading
from rankscope.store.doorbell import Doorbell
from rankscope_worker.host.celery_app import Nudger, make_celery
from rankscope_worker.host.gpus import SETTLE_S, Gpu, GpuReader, choose, list_gpus
from rankscope_worker.host.host import Host
from tests.stack import Stack, wait_for
from tests.worker.host.test_worker import Bench
from tests.worker.nvml_driver import NvmlDriver

Plan = Callable[..., RunPlan]
GIB = 1 << 30


@pytest.fixture
def host(tmp_path: Path, sqlite_url: str) -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(**changes: object) -> Host:
        settings = Settings.model_validate({"data_dir": tmp_path, "database_url": sqlite_url, **changes})
        gpus = list_gpus()
        made.append(
            Host(
                name="w",
                settings=settings,
                engine=create_engine(sqlite_url),
                doorbell=Doorbell(settings.broker_url),
                celery=make_celery(settings),
                nudger=Nudger(settings),
                gpus=gpus,
                slots=len(gpus) * settings.max_runs_per_gpu or 1,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.engine.dispose()


def gpu(index: int, free_gib: float) -> Gpu:
    return Gpu(index, f"GPU-{index}", "Fake", 80 * GIB, int(free_gib * GIB))


def test_a_run_goes_to_the_gpu_with_the_fewest_runs_and_the_most_room() -> None:
    gpus = [gpu(0, 40), gpu(1, 70), gpu(2, 1)]

    def chosen(runs: dict[str, list[float]]) -> Gpu | None:
        return choose(gpus, runs, most=2, min_free_bytes=2 * GIB, now=1000.0)

    assert chosen({}) == gpus[1]
    assert chosen({"GPU-1": [0.0]}) == gpus[0]
    assert chosen({"GPU-1": [0.0], "GPU-0": [0.0]}) == gpus[1]
    assert chosen({"GPU-1": [0.0, 0.0], "GPU-0": [0.0, 0.0]}) is None


def test_memory_is_reserved_for_a_run_that_has_not_allocated_it_yet() -> None:
    one = [gpu(0, 3)]
    young, settled = {"GPU-0": [1000.0]}, {"GPU-0": [1000.0 - SETTLE_S]}
    assert choose(one, young, most=2, min_free_bytes=2 * GIB, now=1001.0) is None
    assert choose(one, settled, most=2, min_free_bytes=2 * GIB, now=1001.0) == one[0]


def test_a_gpu_that_another_program_fills_is_not_taken_until_it_is_free(
    driver: NvmlDriver, host: Callable[..., Host]
) -> None:
    driver.show_free(81000, 500)
    one = host()
    assert one.slots == 2
    first = one.take_slot()
    assert first is not None
    assert first.gpu is not None
    assert first.gpu.uuid == "GPU-0"
    assert one.take_slot() is None
    assert not one.has_room
    assert [(each["runs"], each["is_filled"]) for each in one.gpu_report()] == [(1, False), (0, True)]
    driver.show_free(60000, 70000)
    second = one.take_slot()
    assert second is not None
    assert second.gpu is not None
    assert second.gpu.uuid == "GPU-1"
    one.release_slot(first)
    driver.show_free(1000, 1000)
    assert one.take_slot() is None
    driver.table.unlink()  # every query fails, so free memory is unknown
    assert one.take_slot() is None


def test_several_runs_share_a_gpu_where_memory_fits(driver: NvmlDriver, host: Callable[..., Host]) -> None:
    driver.show_free(81000)
    one = host(max_runs_per_gpu=3, min_free_gpu_memory="30GiB")
    assert one.slots == 3
    taken = [one.take_slot() for _ in range(3)]
    assert [slot is not None for slot in taken] == [True, True, False]


def test_a_host_without_gpus_has_its_slots(driver: NvmlDriver, host: Callable[..., Host]) -> None:
    one = host()
    slot = one.take_slot()
    assert slot is not None
    assert (slot.number, slot.gpu, one.take_slot()) == (0, None, None)
    one.release_slot(slot)
    assert one.has_room


def test_gpus_are_listed_with_their_memory_in_the_order_of_cuda_visible_devices(
    driver: NvmlDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.show("GPU-a 81559 81000 0", "GPU-b 81559 - 0", "GPU-c 81559 5 -")  # the memory of GPU-b is unknown
    gpus = list_gpus()
    assert [gpu.index for gpu in gpus] == [0, 2]
    assert gpus[0] == Gpu(0, "GPU-a", "Stand-in", 81559 << 20, 81000 << 20)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-c,0,7")
    assert [gpu.index for gpu in list_gpus()] == [2, 0]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert list_gpus() == []


def test_a_hanging_driver_blocks_only_one_thread(driver: NvmlDriver) -> None:
    def readers() -> int:
        return sum(thread.name == "gpus" for thread in threading.enumerate())

    driver.table.unlink()
    os.mkfifo(driver.table)  # opening it blocks until there is a writer
    reader = GpuReader()
    assert reader.read(timeout_s=0.01) == []
    assert reader.read(timeout_s=0.01) == []
    assert readers() == 1
    queue = driver.table.with_suffix(".hung")
    driver.table.rename(queue)
    driver.show_free(7000)
    queue.write_text("")  # the driver responds again
    wait_for("the hanging call to return", lambda: readers() == 0)
    assert [gpu.free_bytes for gpu in reader.read()] == [7000 << 20]


def test_a_queued_run_waits_for_a_filled_gpu_and_starts_when_it_is_free(
    driver: NvmlDriver, tiny_data: Path, plan: Plan, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("models", "datasets"):
        (folder / name).symlink_to(tiny_data / name)
    driver.show_free(300)
    bench = Bench(Stack(folder, lease_s=3))
    try:
        run_id = bench.submit(plan("lora", max_steps=2))
        bench.stack.start_worker(slots=1)

        def filled() -> bool:
            with reading(bench.engine) as session:
                known = workers.list_workers(session)
            return bool(known) and known[0][0].gpus[0]["is_filled"] is True and known[0][0].heartbeat_at > began

        began = bench.run(run_id).created_at + 3
        wait_for("a heartbeat that sees the filled GPU", filled)
        assert bench.run(run_id).status == "queued"
        driver.show_free(80000)
        done = bench.until_status(run_id, "done")
        assert done.attempt == 1
    finally:
        bench.stack.stop()
        bench.engine.dispose()
