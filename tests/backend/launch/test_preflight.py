"""Memory, time and disk before the start: comparisons, suggestions, and corrections by earlier runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.stored import StoredMemoryEstimate
from rankscope.launch.memory import estimate_memory
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.launch.preflight import MemoryCheck, Preflight, correction_from, preflight
from rankscope.launch.savings import with_changes
from rankscope.settings import Settings
from rankscope.store import workers
from rankscope.store.database.engine import reading, writing
from tests.backend.conftest import config_with, fill_catalogue

NOW = 1_000_000.0
GIB = 1 << 30
Checked = Callable[..., Preflight]


@pytest.fixture
def plan(settings: Settings) -> Callable[..., RunPlan]:
    catalog = Catalog(fill_catalogue(settings))
    return lambda **changes: make_plan(RunConfig.model_validate(config_with(**changes)), catalog)


@pytest.fixture
def checked(engine: Engine, plan: Callable[..., RunPlan], tmp_path: Path) -> Checked:
    """Checks a plan against a single worker whose host has this much free memory."""

    def check(*, free_bytes: int | None, total_bytes: int = 64 * GIB, gpus: Any = (), **changes: Any) -> Preflight:
        memory = None if free_bytes is None else workers.HostMemory(total_bytes, free_bytes)
        with writing(engine) as session:
            workers.register(
                session,
                name="one",
                host="a-host",
                pid=1,
                version="1",
                slots=1,
                gpus=list(gpus),
                now=NOW,
                memory=memory,
            )
        with reading(engine) as session:
            return preflight(session, plan(**changes), tmp_path, now=NOW, lost_after_s=30)

    return check


def stored(counted: int, estimated: int) -> StoredMemoryEstimate:
    return {"device": "cpu", "family": "", "counted_bytes": counted, "estimated_bytes": estimated, "correction": 1.0}


def test_trained_parts_are_counted_at_the_initial_rank(plan: Callable[..., RunPlan]) -> None:
    found = plan(**{"method.initial_rank": 5})
    estimate = estimate_memory(found, "cpu")
    assert estimate is not None
    parts = estimate.parts
    # Four square layers of width 8 with A, B and c, and the linear head of two classes.
    trained = 4 * 5 * (8 + 8 + 1) + (8 * 2 + 2)
    assert (parts.adapter, parts.gradients, parts.optimizer) == (4 * trained, 4 * trained, 8 * trained)
    assert parts.total == parts.counted + parts.activations + parts.process
    full = estimate_memory(plan(method={"name": "full"}), "cpu")
    assert full is not None
    assert (full.parts.adapter, full.parts.gradients) == (0, full.parts.weights)


def test_activations_grow_with_the_batch_and_faster_than_the_length(plan: Callable[..., RunPlan]) -> None:
    def kept(**training: int) -> int:
        changes = {f"training.{name}": value for name, value in training.items()}
        estimate = estimate_memory(plan(**changes), "cpu")
        assert estimate is not None
        return estimate.parts.activations

    one = kept(batch_size=64, max_length=64)
    assert kept(batch_size=128, max_length=64) == pytest.approx(2 * one, rel=0.01)
    assert kept(batch_size=64, max_length=128) > 2.5 * one


def test_free_memory_decides_what_is_said(checked: Checked) -> None:
    def memory(free_bytes: int | None, total_bytes: int = 64 * GIB) -> MemoryCheck:
        found = checked(free_bytes=free_bytes, total_bytes=total_bytes).memory
        assert found is not None
        return found

    assert memory(None).fit == "unknown"
    needed = memory(None).estimate.parts.total
    assert memory(2 * needed).fit == "fits"
    assert memory(int(1.05 * needed)).fit == "tight"
    busy, too_large = memory(needed // 2), memory(needed // 2, needed // 2)
    assert (busy.fit, too_large.fit) == ("busy", "too_large")
    assert "but only" in busy.message
    assert "a-host has only" in too_large.message


def test_a_gpu_is_used_with_auto_and_its_free_memory_counts(checked: Checked) -> None:
    gpu = {"index": 0, "name": "Small GPU", "memory_bytes": 1000, "free_bytes": 10}
    memory = checked(free_bytes=64 * GIB, gpus=[gpu]).memory
    assert memory is not None
    assert (memory.estimate.device, memory.fit) == ("gpu", "too_large")
    on_cpu = checked(free_bytes=64 * GIB, gpus=[gpu], hardware={"device": "cpu"}).memory
    assert on_cpu is not None
    assert (on_cpu.estimate.device, on_cpu.fit) == ("cpu", "fits")


def test_proposals_fit_and_keep_the_rows_of_a_step(checked: Checked, plan: Callable[..., RunPlan]) -> None:
    large = {"training.batch_size": 4096, "training.max_length": 512}
    whole = checked(free_bytes=64 * GIB, **large).memory
    assert whole is not None
    assert whole.fit == "fits"
    assert whole.savings == []
    limit = whole.estimate.parts.total // 2
    memory = checked(free_bytes=limit, **large).memory
    assert memory is not None
    config = plan(**large).config
    first = memory.savings[0]
    after = with_changes(config, first.changes).training
    assert after.batch_size * after.gradient_accumulation == 4096
    assert first.effect == "same_result"
    assert memory.savings[-1].label == "Text length 256"
    for saving in memory.savings:
        estimate = estimate_memory(plan(**large), "cpu", with_changes(config, saving.changes))
        assert estimate is not None
        assert estimate.parts.total == saving.total_bytes < limit


def test_a_quantised_base_is_proposed_for_a_gpu(checked: Checked) -> None:
    def labels(**changes: Any) -> list[str]:
        """The suggestions on a GPU that is just too small: 10 % must stay free."""
        large = {"index": 0, "name": "GPU", "memory_bytes": 64 * GIB, "free_bytes": 64 * GIB}
        whole = checked(free_bytes=None, gpus=[large], **changes).memory
        assert whole is not None
        free = int(whole.estimate.parts.total / 0.9) - 2
        memory = checked(free_bytes=None, gpus=[large | {"free_bytes": free}], **changes).memory
        assert memory is not None
        return [saving.label for saving in memory.savings]

    assert "8-bit base" in labels()
    assert "8-bit base" not in labels(method={"name": "full"})


def test_nothing_is_proposed_if_nothing_helps(checked: Checked) -> None:
    memory = checked(free_bytes=1000, total_bytes=2000).memory
    assert memory is not None
    assert memory.savings == []
    assert "smaller or quantised model" in memory.message


def test_correction_is_the_median_of_enough_runs_within_limits() -> None:
    runs = [(stored(100, 1000), 100 + measured) for measured in (1100, 1200, 9000)]
    assert correction_from(runs[:2]) == (1.0, 0)
    assert correction_from(runs) == (1.2, 3)
    assert correction_from([(stored(0, 1000), 50_000)] * 3) == (2.0, 3)
    assert correction_from([(stored(0, 1000), 1)] * 3) == (0.5, 3)


def test_disk_holds_what_is_kept_the_best_and_the_one_being_written(checked: Checked) -> None:
    disk = checked(free_bytes=None, **{"training.keep_checkpoints": 3, "training.checkpoint_every": 10}).disk
    assert disk is not None
    assert disk.checkpoints == 5
    assert disk.needed_bytes > 5 * disk.checkpoint_bytes > 0
    assert disk.fits
