"""When checkpoints are written, which are kept, and what a full disk does to them."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState

from rankscope.contract.metrics import describe
from rankscope.launch.plan import RunPlan
from rankscope_worker.child import checkpoint
from rankscope_worker.child.best import Best
from rankscope_worker.child.callbacks import Reporter
from rankscope_worker.child.disk import is_disk_full
from rankscope_worker.child.training import Outcome
from tests.worker.child.test_training import Life, kept_steps

Plan = Callable[..., RunPlan]


def test_a_checkpoint_is_due_by_steps_or_by_minutes_whichever_comes_first() -> None:
    now = 0.0
    reporter = Reporter(
        lambda _event: None,
        lambda: False,
        eval_every=100,
        checkpoint_every=4,
        checkpoint_minutes=0.5,
        window=None,
        clock=lambda: now,
    )
    state, saved = TrainerState(max_steps=100), []
    for step, seconds in enumerate((10, 10, 10, 0, 10, 10, 5, 0, 29, 1), start=1):
        now += seconds
        control, state.global_step = TrainerControl(), step
        reporter.on_step_end(None, state, control)  # type: ignore[arg-type]
        if control.should_save:
            saved.append(step)
            reporter.on_save(None, state, control)  # type: ignore[arg-type]
    # 30 s at step 3; the fourth; the eighth; 30 s after that.
    assert saved == [3, 4, 8, 10]


@pytest.mark.parametrize(("metric", "best_of"), [("eval_accuracy", max), ("eval_loss", min)])
def test_best_is_the_first_of_the_best_evaluations_of_the_settled_model(metric: str, best_of: Any) -> None:
    settled = False
    best = Best(describe(metric), lambda: settled)
    values = [0.9, 0.1, 0.5, float("nan"), 0.4, 0.6, 0.6, 0.4]
    wins = []
    for step, value in enumerate(values):
        settled = step >= 2
        if best.see(step, {metric: value}):
            wins.append(step)
    finite = [value for value in values[2:] if value == value]
    assert best.value is not None
    assert best.value == best_of(finite)
    assert best.step == 2 + values[2:].index(best_of(finite)) == wins[-1]
    resumed = Best(describe(metric), lambda: True)
    resumed.recall(best.as_note())
    assert not resumed.see(9, {metric: best.value})
    assert resumed.step == best.step


def test_the_best_evaluation_is_kept_over_a_resume_and_alone_after_the_end(
    data_dir: Path, plan: Plan, tmp_path: Path
) -> None:
    # Learns in the first steps, then diverges because of the learning rate: the best evaluation is an early one.
    config = plan("lora", max_steps=30, eval_every=3, checkpoint_every=7, keep_checkpoints=1, learning_rate=0.3).config
    first = Life(data_dir, config, tmp_path, 1, stop_at=16)
    second = Life(data_dir, config, tmp_path, 2)
    every = {
        step: value for (name, step), value in (first.metrics() | second.metrics()).items() if name == "eval_accuracy"
    }
    highest = max(every.values())
    best = min(step for step, value in every.items() if value == highest)
    assert second.outcome.kind == "done"
    assert kept_steps(first) | kept_steps(second) == {best, 30}
    whole = Life(data_dir, config, tmp_path / "whole")
    assert kept_steps(whole) == {best, 30}

    lean = config.model_copy(update={"training": config.training.model_copy(update={"after_done": "best"})})
    assert kept_steps(Life(data_dir, lean, tmp_path / "lean")) == {best}
    none = config.model_copy(update={"training": config.training.model_copy(update={"after_done": "delete"})})
    life = Life(data_dir, none, tmp_path / "none")
    assert kept_steps(life) == set()
    assert (life.folder / "adapter" / "adapter_model.safetensors").is_file()


class FullDisk:
    """Makes `publish` find no space from its second checkpoint on, as long as `is_full`."""

    def __init__(self, patch: pytest.MonkeyPatch, full_at: set[int]) -> None:
        self.whole_publish = checkpoint.publish
        self.full_at = full_at
        patch.setattr(checkpoint, "publish", self.publish)

    def publish(self, written: Path, folder: Path, step: int, notes: Any = None) -> tuple[Path, int]:
        if step in self.full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(written))
        return self.whole_publish(written, folder, step, notes)


def test_a_full_disk_costs_one_checkpoint_but_neither_the_run_nor_the_previous_one(
    data_dir: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = plan(keep_best=False).config
    whole = Life(data_dir, config, tmp_path / "whole")
    FullDisk(monkeypatch, {10, 15})
    life = Life(data_dir, config, tmp_path / "full")
    assert life.outcome == Outcome("done", 20, is_saved=True)
    assert [event.step for event in life.of("checkpoint")] == [5, 20]
    (warning,) = life.of("warning")  # one for both: it is the same problem
    assert (warning.code, warning.step) == ("checkpoint_failed", 10)
    assert "that of step 5 is intact" in warning.message
    assert "No space left on device" in warning.message
    assert life.metrics() == whole.metrics()
    for step in kept_steps(life):
        checkpoint.verify(life.folder / "checkpoints" / f"step-{step}")
    assert not (life.folder / "checkpoints" / ".writing").exists()
    name = "adapter/adapter_model.safetensors"
    assert (life.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_full_disk_stops_the_run_by_policy_and_it_resumes_from_the_previous_checkpoint(
    data_dir: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = plan(keep_best=False, on_disk_full="stop").config
    whole = Life(data_dir, config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        FullDisk(patch, {10})
        first = Life(data_dir, config, tmp_path / "cut")
    assert first.outcome == Outcome("disk_full", 10, is_saved=False)
    assert kept_steps(first) == {5}
    second = Life(data_dir, config, tmp_path / "cut", 2)
    assert second.ready == [5]
    early = {key: value for key, value in first.metrics().items() if key[1] <= 5}
    assert early | second.metrics() == whole.metrics()


def test_a_stop_without_space_for_its_checkpoint_reports_that_nothing_was_saved(
    data_dir: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch, {7})
    life = Life(data_dir, plan(keep_best=False).config, tmp_path, stop_at=7)
    assert life.outcome == Outcome("stopped", 7, is_saved=False)


def test_a_full_disk_is_detected_whichever_library_reports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_disk_full(OSError(errno.EDQUOT, "Disk quota exceeded"), tmp_path)
    assert is_disk_full(RuntimeError("I/O error: No space left on device (os error 28)"), tmp_path)
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"), tmp_path)
    # torch's error for a full disk names no cause: then the disk is checked, even if the folder is missing.
    unclear = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 40960 vs 40852")
    missing = tmp_path / "not" / "there"
    assert not is_disk_full(unclear, missing)
    assert list(tmp_path.iterdir()) == []

    def no_room(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        assert is_disk_full(unclear, missing)
        assert not is_disk_full(ValueError("unexpected pos"), missing)
    outer = RuntimeError("the checkpoint cannot be written")
    outer.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_disk_full(outer, tmp_path)
