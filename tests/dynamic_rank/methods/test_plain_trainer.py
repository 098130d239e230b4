"""DynamicRankCallback in a plain Trainer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import Trainer, TrainerCallback

from dynamic_rank import (
    DynamicRankCallback,
    DynamicRankConfig,
    RankWarning,
    wrap,
)
from dynamic_rank.adapter.components import components_of
from dynamic_rank.allocation.snapshot import Snapshot
from tests.dynamic_rank.tiny_models import Rows, arguments, batch, build, logits


def plain_trainer(folder: Path, config: DynamicRankConfig, callback: TrainerCallback, **changes: Any) -> Any:
    model, task = build()
    return Trainer(
        model=wrap(model, config, task), args=arguments(folder, **changes), train_dataset=Rows(), callbacks=[callback]
    )


def test_callback_alone_prunes_in_a_plain_trainer_and_warns_about_the_missing_dem_term(tmp_path: Path) -> None:
    warned: list[tuple[str, str]] = []
    snapshots: list[Snapshot] = []
    config = DynamicRankConfig(target_rank=2, prune_interval=2)
    callback = DynamicRankCallback(config, snapshots.append, on_warning=lambda code, text: warned.append((code, text)))
    trainer = plain_trainer(tmp_path, config, callback)
    trainer.train()
    assert [code for code, _ in warned] == ["dem_missing"]
    assert "dem_loss(model)" in warned[0][1]
    assert sum(layer.A.shape[0] for layer in components_of(trainer.model).layers) == 24


def test_warnings_without_a_hook_are_python_warnings(tmp_path: Path) -> None:
    config = DynamicRankConfig(target_rank=2, prune_interval=2)
    trainer = plain_trainer(tmp_path, config, DynamicRankCallback(config), max_steps=20)
    with pytest.warns(RankWarning, match=r"\[dem_missing\]"):
        trainer.train()


def test_plain_trainer_with_eta_zero_gives_no_warning_and_saves_the_rank_state(tmp_path: Path) -> None:
    config = DynamicRankConfig(target_rank=2, prune_interval=2, eta=0)
    trainer = plain_trainer(tmp_path, config, DynamicRankCallback(config), save_strategy="steps", save_steps=20)
    trainer.train()
    assert (tmp_path / "checkpoint-20" / "rank_state.json").is_file()
    # A plain Trainer also saves a plain LoRA.
    loaded = PeftModel.from_pretrained(build()[0], tmp_path / "checkpoint-20")
    torch.testing.assert_close(logits(loaded, batch()), logits(trainer.model, batch()), rtol=1e-6, atol=1e-6)


def test_callback_on_a_model_that_was_not_wrapped_is_refused(tmp_path: Path) -> None:
    model, _ = build()
    callback = DynamicRankCallback(DynamicRankConfig(target_rank=2, prune_interval=2))
    trainer = Trainer(model=model, args=arguments(tmp_path), train_dataset=Rows(), callbacks=[callback])
    with pytest.raises(ValueError, match="has no dynamic-rank components"):
        trainer.train()


def test_sharded_training_is_refused(tmp_path: Path) -> None:
    config = DynamicRankConfig(target_rank=2, prune_interval=2)
    trainer = plain_trainer(tmp_path, config, callback := DynamicRankCallback(config))
    trainer.args.fsdp = True
    with pytest.raises(ValueError, match="FSDP and DeepSpeed"):
        callback.on_train_begin(trainer.args, trainer.state, trainer.control, model=trainer.model)
