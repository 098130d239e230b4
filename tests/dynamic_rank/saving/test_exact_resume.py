"""A run that is stopped at any step and resumed with a new model, method and Trainer equals an uninterrupted run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dynamic_rank import RankMethod, Snapshot, create_method, last_complete_checkpoint, make_trainer_class
from tests.dynamic_rank.tiny_models import Rows, arguments, build
from tests.wide import narrowed, wide

PATTERN = {
    "bert.encoder.layer.0.attention.self.query": 3,
    "bert.encoder.layer.0.output.dense": 0,
    "bert.encoder.layer.1.attention.self.value": 1,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "dynamic_rank": {"target_rank": 2, "prune_interval": 2},
    "lora": {"rank": 2},
    "full": {},
    "adalora": {"target_rank": 2, "prune_interval": 2},
    "eva": {"rank": 2},
    "lora_shrink": {"target_rank": 2, "shrink_at_ratio": 0.5},
    "sora": {"rank": 3, "sparse_lambda": 5.0},
    "control": {"rank_pattern": PATTERN},
    "gradient": {"rank": 2, "batches": 2},
    "spectrum": {"rank": 2},
}


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        if state.global_step == self.step:
            control.should_save = control.should_training_stop = True
        return control


class Losses(TrainerCallback):
    def __init__(self) -> None:
        self.by_step: dict[int, tuple[float, float, float]] = {}

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        if "loss" in logs:
            self.by_step[state.global_step] = (logs["loss"], logs["grad_norm"], logs["learning_rate"])


Life = tuple[dict[int, tuple[float, float, float]], list[Snapshot], dict[str, Tensor], list[str], RankMethod]
"""Losses by step, snapshots, final tensors, warnings, method."""


def run(
    folder: Path,
    key: str = "dynamic_rank",
    stop_at: int | None = None,
    resume_from: Path | None = None,
    options: dict[str, Any] | None = None,
    **changes: Any,
) -> Life:
    """One run, as in a separate process."""
    model, task = build()
    method = create_method(key, OPTIONS[key] | (options or {}))
    model = method.prepare(model, task)
    losses = Losses()
    snapshots: list[Snapshot] = []
    warned: list[str] = []
    callbacks = method.callbacks(snapshots.append, 1, lambda code, message: warned.append(code))
    callbacks += [losses] + ([StopAt(stop_at)] if stop_at else [])
    trainer = make_trainer_class(Trainer)(
        model=model, args=arguments(folder, **changes), method=method, train_dataset=Rows(), callbacks=callbacks
    )
    trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    tensors = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    return losses.by_step, snapshots, tensors, warned, method


def assert_same_run(folder: Path, whole: Any, key: str, stop_at: int | None, **changes: Any) -> None:
    first = run(folder / "cut", key, stop_at=stop_at, **changes)
    checkpoint = last_complete_checkpoint(folder / "cut")
    assert checkpoint is not None
    assert checkpoint.name == f"checkpoint-{stop_at}"
    second = run(folder / "cut", key, resume_from=checkpoint, **changes)
    assert first[0] | second[0] == whole[0]
    assert second[2].keys() == whole[2].keys()
    for name, tensor in whole[2].items():
        assert torch.equal(second[2][name], tensor), name
    later = {snapshot.step: snapshot for snapshot in second[1]}
    for snapshot in whole[1]:
        if snapshot.step > stop_at:
            again = later[snapshot.step]
            assert again.pack_mask() == snapshot.pack_mask()
            assert again.pack_scores() == snapshot.pack_scores()
            assert again.decision == snapshot.decision
            assert again.threshold == snapshot.threshold
    whole[4].export(folder / "a")
    second[4].export(folder / "b")
    name = "model.safetensors" if key == "full" else "adapter_model.safetensors"
    assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tmp_path_factory.mktemp("whole"))


# 64 rows in batches of 4: step 16 is the end of an epoch; window 3 to 10, pruning at 3, 5, 7, 9, 10 (adalora: 4, 6, 8, 10).
@pytest.mark.parametrize("stop_at", [3, 8, 16, *wide(1, 4, 5, 7, 9, 10, 11, 19)])
def test_resume_is_bit_identical_before_inside_and_after_the_window(
    whole: Any, tmp_path: Path, stop_at: int | None
) -> None:
    assert_same_run(tmp_path, whole, "dynamic_rank", stop_at)


VARIANTS: dict[str, dict[str, Any]] = {
    "compact off": {"compact": False},
    "sensitivity": {"score": "sensitivity", "init": "zero_b"},
    "random": {"score": "random"},
    "scaled c": {"c_lr_scale": 10.0, "score": "abs_c"},
    "parameters": {"budget_unit": "parameters"},
    # a budget so small that modules end at rank 0
    "empty modules": {"target_rank": 1, "initial_rank": 4, "score": "norm"},
}


@pytest.mark.parametrize("variant", narrowed(VARIANTS, "compact off", "sensitivity", "empty modules"))
def test_resume_is_bit_identical_for_every_variant(tmp_path: Path, variant: str) -> None:
    options = VARIANTS[variant]
    whole = run(tmp_path / "whole", options=options)
    if variant == "empty modules":
        assert min(whole[1][-1].ranks) == 0
    for stop_at in (5, 12):
        assert_same_run(tmp_path, whole, "dynamic_rank", stop_at, options=options)


def test_resume_is_bit_identical_with_accumulated_gradients(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"gradient_accumulation_steps": 2, "max_steps": 12}
    whole = run(tmp_path / "whole", **changes)
    assert_same_run(tmp_path, whole, "dynamic_rank", 5, **changes)


# adalora: inside the window, at its end, after it; lora_shrink: before and after the cut at step 10.
@pytest.mark.parametrize(
    ("key", "stops"),
    [
        ("lora", (9,)),
        ("full", (9,)),
        ("adalora", (5, 17)),
        ("eva", (9,)),
        ("lora_shrink", (9, 15)),
        ("sora", (9,)),
        ("control", (9,)),
        ("gradient", (9,)),
        *wide(("spectrum", (9,))),
        *wide(("adalora", (1, 6, 9, 10, 11)), ("lora_shrink", (10,)), ("sora", (18,))),
    ],
)
def test_resume_of_the_rivals_is_bit_identical(tmp_path: Path, key: str, stops: Any) -> None:
    whole = run(tmp_path / "whole", key)
    for stop_at in stops:
        assert_same_run(tmp_path / str(stop_at), whole, key, stop_at)


def test_run_resumed_twice_is_bit_identical(whole: Any, tmp_path: Path) -> None:
    run(tmp_path, stop_at=5)
    run(tmp_path, stop_at=12, resume_from=tmp_path / "checkpoint-5")
    last = run(tmp_path, resume_from=tmp_path / "checkpoint-12")
    assert all(torch.equal(last[2][name], tensor) for name, tensor in whole[2].items())


def test_rank_checkpoints_contain_no_pickle_and_record_method_and_versions(tmp_path: Path) -> None:
    run(tmp_path, stop_at=5)
    files = {path.name for path in (tmp_path / "checkpoint-5").iterdir()}
    assert {"rank_state.safetensors", "rank_state.json"} <= files
    pickled = {name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))}
    assert pickled <= {"optimizer.pt", "scheduler.pt", "rng_state.pth"}


@pytest.mark.parametrize(
    ("options", "words"),
    [({"beta": 0.5}, "option beta=0.9, but this run has 0.5"), ({"eta": 0.2}, "option eta=0.1, but this run has 0.2")],
)
def test_resume_with_other_options_is_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    run(tmp_path, stop_at=5)
    with pytest.raises(ValueError, match=words):
        run(tmp_path, resume_from=tmp_path / "checkpoint-5", options=options)


def test_checkpoint_from_before_the_pruning_phase_resumes_with_the_options_of_its_time(tmp_path: Path) -> None:
    """Such a checkpoint has init='paper', which is now called small_random, and no pruning_phase."""
    then = {"init": "small_random", "pruning_phase": "absolute"}
    whole = run(tmp_path / "whole", options=then)
    run(tmp_path / "cut", stop_at=5, options=then)
    info = tmp_path / "cut" / "checkpoint-5" / "rank_state.json"
    written = json.loads(info.read_text())
    del written["options"]["pruning_phase"]
    written["options"]["init"] = "paper"
    info.write_text(json.dumps(written))
    with pytest.raises(ValueError, match="resume with pruning_phase='absolute', init='small_random', or start"):
        run(tmp_path / "cut", resume_from=tmp_path / "cut" / "checkpoint-5")
    again = run(tmp_path / "cut", resume_from=tmp_path / "cut" / "checkpoint-5", options=then)
    assert all(torch.equal(again[2][name], tensor) for name, tensor in whole[2].items())


def test_resume_by_another_method_is_refused(tmp_path: Path) -> None:
    run(tmp_path, stop_at=5)
    with pytest.raises(ValueError, match="method='dynamic_rank'"):
        run(tmp_path, "lora", resume_from=tmp_path / "checkpoint-5")


def test_incomplete_checkpoint_is_refused_and_skipped(tmp_path: Path) -> None:
    run(tmp_path, stop_at=5)
    run(tmp_path, stop_at=7, resume_from=tmp_path / "checkpoint-5")
    older, newer = (tmp_path / name / "rank_state.safetensors" for name in ("checkpoint-5", "checkpoint-7"))
    newer.write_bytes(older.read_bytes())
    with pytest.raises(ValueError, match="is incomplete"):
        run(tmp_path, resume_from=tmp_path / "checkpoint-7")
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-5"
    (tmp_path / "checkpoint-5" / "trainer_state.json").write_text('{"epo')
    assert last_complete_checkpoint(tmp_path) is None


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no complete checkpoint"):
        run(tmp_path, resume_from=Path(tmp_path))
