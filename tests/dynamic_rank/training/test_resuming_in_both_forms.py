"""Resuming from a checkpoint and restarting after running out of memory, in both forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from dynamic_rank import (
    last_complete_checkpoint,
)
from tests.dynamic_rank.trainer_forms import FORMS, Script, StopAt
from tests.wide import each_once, wide


@pytest.mark.parametrize(
    ("stop_at", "accumulation", "form"),
    [
        (3, 1, "class"),
        (7, 1, "callback"),
        (13, 1, "callback"),
        (7, 4, "class"),
        *wide((3, 1, "callback"), (7, 1, "class"), (10, 1, "callback"), (10, 1, "class")),
        *wide((13, 1, "class"), (7, 4, "callback")),
    ],
)
def test_resuming_is_bit_identical_before_inside_and_after_the_window(
    tmp_path: Path, form: str, stop_at: int, accumulation: int
) -> None:
    changes: dict[str, Any] = {"gradient_accumulation_steps": accumulation}
    whole = Script(form, tmp_path / "whole", **changes)
    whole.trainer.train()
    Script(form, tmp_path / "cut", extra=[StopAt(stop_at)], **changes).trainer.train()
    again = Script(form, tmp_path / "cut", **changes)
    again.trainer.train(resume_from_checkpoint=str(last_complete_checkpoint(tmp_path / "cut")))
    assert again.ranks() == whole.ranks()
    expected = whole.tensors()
    assert expected.keys() == again.tensors().keys()
    for name, tensor in again.tensors().items():
        assert torch.equal(tensor, expected[name]), name
    later = {snapshot.step: snapshot for snapshot in again.snapshots}
    for snapshot in whole.snapshots:
        if snapshot.step > stop_at:
            assert later[snapshot.step].pack_scores() == snapshot.pack_scores()


@pytest.mark.parametrize(("stop_at", "form"), each_once([5, 13], FORMS))
def test_resuming_with_other_steps_is_refused_until_the_mask_is_final(tmp_path: Path, form: str, stop_at: int) -> None:
    Script(form, tmp_path, extra=[StopAt(stop_at)]).trainer.train()
    longer = Script(form, tmp_path, max_steps=40)
    checkpoint = str(tmp_path / f"checkpoint-{stop_at}")
    if stop_at == 5:
        with pytest.raises(ValueError, match="saved run has 20 steps, this one 40"):
            longer.trainer.train(resume_from_checkpoint=checkpoint)
    else:
        longer.trainer.train(resume_from_checkpoint=checkpoint)
        assert sum(longer.ranks()) == 24


@pytest.mark.parametrize("form", ["class", *wide("callback")])
def test_resuming_without_skipping_data_works(tmp_path: Path, form: str) -> None:
    Script(form, tmp_path, extra=[StopAt(5)]).trainer.train()
    again = Script(form, tmp_path, ignore_data_skip=True)
    again.trainer.train(resume_from_checkpoint=True)
    assert sum(again.ranks()) == 24


def test_incomplete_checkpoint_is_refused_by_the_callback(tmp_path: Path) -> None:
    Script("callback", tmp_path, extra=[StopAt(13)]).trainer.train()
    (tmp_path / "checkpoint-13" / "rank_state.json").unlink()
    with pytest.raises(ValueError, match=r"has no rank_state.json.*last_complete_checkpoint"):
        Script("callback", tmp_path).trainer.train(resume_from_checkpoint=True)


def test_resuming_the_callback_with_other_options_is_refused(tmp_path: Path) -> None:
    Script("callback", tmp_path, extra=[StopAt(5)]).trainer.train()
    with pytest.raises(ValueError, match=r"option beta=0\.9, but this run has 0\.5"):
        Script("callback", tmp_path, {"beta": 0.5}).trainer.train(resume_from_checkpoint=True)


def test_callback_resumes_a_checkpoint_from_before_the_pruning_phase(tmp_path: Path) -> None:
    old = {"pruning_phase": "absolute", "init": "small_random"}
    whole = Script("callback", tmp_path / "whole", old)
    whole.trainer.train()
    Script("callback", tmp_path / "cut", old, extra=[StopAt(5)]).trainer.train()
    written = tmp_path / "cut" / "checkpoint-5" / "rank_state.json"
    info = json.loads(written.read_text())
    del info["options"]["pruning_phase"]
    info["options"]["init"] = "paper"
    written.write_text(json.dumps(info))
    again = Script("callback", tmp_path / "cut", old)
    again.trainer.train(resume_from_checkpoint=True)
    assert again.ranks() == whole.ranks()
    assert all(torch.equal(tensor, whole.tensors()[name]) for name, tensor in again.tensors().items())


@pytest.mark.parametrize(("at", "form"), each_once([0, 5, 13], FORMS))
def test_out_of_memory_with_auto_find_batch_size_restarts(tmp_path: Path, form: str, at: int) -> None:
    class Full(TrainerCallback):
        has_failed = False

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == at and not self.has_failed:
                self.has_failed = True
                raise RuntimeError("CUDA out of memory. Tried to allocate")

    script = Script(form, tmp_path, extra=[Full()], auto_find_batch_size=True)
    if at == 13:
        with pytest.raises(RuntimeError, match=r"already compacted.*auto_find_batch_size"):
            script.trainer.train()
        return
    script.trainer.train()
    assert script.allocator.last_step == 20
    assert sum(script.ranks()) == 24


def test_out_of_memory_after_a_resume_restarts_from_the_checkpoint(tmp_path: Path) -> None:
    class Full(TrainerCallback):
        has_failed = False

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 6 and not self.has_failed:
                self.has_failed = True
                raise RuntimeError("CUDA out of memory. Tried to allocate")

    Script("callback", tmp_path, extra=[StopAt(5)]).trainer.train()
    again = Script("callback", tmp_path, extra=[Full()], auto_find_batch_size=True)
    again.trainer.train(resume_from_checkpoint=True)
    assert again.allocator.last_step == 20
    assert sum(again.ranks()) == 24
