"""Slots: which GPU the next run gets, by a program on the PATH that prints what nvidia-smi prints."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.database.engine import create_engine, reading
from rankscope.store.doorbell import Doorbell
from rankscope_worker.host.celery_app import Nudger, make_celery
from rankscope_worker.host.gpus import SETTLE_S, Gpu, choose, list_gpus
from rankscope_worker.host.host import Host
from tests.stack import Stack, wait_for
from tests.worker.host.test_worker import Bench

Plan = Callable[..., RunPlan]
GIB = 1 << 30


class FakeSmi:
    """A program `nvidia-smi` that prints a file: {index: free MiB} of GPUs with 80 GiB."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.table = folder, folder / "table.csv"
        folder.mkdir()
        program = folder / "nvidia-smi"
        program.write_text(f'#!/bin/sh\ncat "{self.table}"\n')
        program.chmod(0o755)

    def show(self, *free_mib: int) -> None:
        lines = [f"{index}, GPU-{index}, Fake, 81920, {free}" for index, free in enumerate(free_mib)]
        working = self.table.with_suffix(".new")
        working.write_text("\n".join(lines) + "\n")
        os.replace(working, self.table)


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSmi:
    fake = FakeSmi(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return fake


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
    options = {"most": 2, "min_free_bytes": 2 * GIB, "now": 1000.0}
    assert choose(gpus, {}, **options) == gpus[1]  # type: ignore[arg-type]
    assert choose(gpus, {"GPU-1": [0.0]}, **options) == gpus[0]  # type: ignore[arg-type]
    assert choose(gpus, {"GPU-1": [0.0], "GPU-0": [0.0]}, **options) == gpus[1]  # type: ignore[arg-type]
    full = {"GPU-1": [0.0, 0.0], "GPU-0": [0.0, 0.0]}
    assert choose(gpus, full, **options) is None  # type: ignore[arg-type]


def test_memory_is_set_aside_for_a_run_that_has_not_taken_its_own_yet() -> None:
    one = [gpu(0, 3)]
    young, settled = {"GPU-0": [1000.0]}, {"GPU-0": [1000.0 - SETTLE_S]}
    assert choose(one, young, most=2, min_free_bytes=2 * GIB, now=1001.0) is None
    assert choose(one, settled, most=2, min_free_bytes=2 * GIB, now=1001.0) == one[0]


def test_a_gpu_that_another_program_fills_is_not_taken_until_it_is_free(
    smi: FakeSmi, host: Callable[..., Host]
) -> None:
    smi.show(81000, 500)
    one = host()
    assert one.slots == 2
    first = one.take_slot()
    assert first is not None
    assert first.gpu is not None
    assert first.gpu.uuid == "GPU-0"
    assert one.take_slot() is None
    assert not one.has_room
    assert [(each["runs"], each["is_filled"]) for each in one.gpu_report()] == [(1, False), (0, True)]
    smi.show(60000, 70000)
    second = one.take_slot()
    assert second is not None
    assert second.gpu is not None
    assert second.gpu.uuid == "GPU-1"
    one.release_slot(first)
    smi.show(1000, 1000)
    assert one.take_slot() is None
    smi.table.unlink()  # nvidia-smi fails: nobody knows what is free
    assert one.take_slot() is None


def test_several_runs_share_a_gpu_where_memory_fits(smi: FakeSmi, host: Callable[..., Host]) -> None:
    smi.show(81000)
    one = host(max_runs_per_gpu=3, min_free_gpu_memory="30GiB")
    assert one.slots == 3
    taken = [one.take_slot() for _ in range(3)]
    assert [slot is not None for slot in taken] == [True, True, False]


def test_a_host_without_gpus_has_its_slots(host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    one = host()
    slot = one.take_slot()
    assert slot is not None
    assert (slot.number, slot.gpu, one.take_slot()) == (0, None, None)
    one.release_slot(slot)
    assert one.has_room


def test_a_queued_run_waits_for_a_filled_gpu_and_starts_when_it_is_free(
    smi: FakeSmi, tiny_data: Path, plan: Plan, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("models", "datasets"):
        (folder / name).symlink_to(tiny_data / name)
    smi.show(300)
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
        smi.show(80000)
        done = bench.until_status(run_id, "done")
        assert done.attempt == 1
    finally:
        bench.stack.stop()
        bench.engine.dispose()
