"""Features of transformers' Trainer work in both forms (callback in a script, make_trainer_class) or are refused."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainingArguments

from dynamic_rank import (
    DynamicRankCallback,
    DynamicRankConfig,
    create_method,
    make_trainer_class,
    wrap,
)
from dynamic_rank.adapter.components import components_of
from dynamic_rank.training.trainer_checks import check_arguments
from tests.dynamic_rank.tiny_models import Rows, arguments, batch, build, logits
from tests.dynamic_rank.trainer_forms import FORMS, OPTIONS, Script, assert_exports
from tests.wide import each_once, wide

ACCEPTED: dict[str, dict[str, Any]] = {
    "activation_checkpointing": {"activation_checkpointing": True},
    "reentrant checkpointing": {
        "activation_checkpointing": True,
        "activation_checkpointing_kwargs": {"use_reentrant": True},
    },
    "bf16": {"bf16": True},
    "group_by_length": {"train_sampling_strategy": "group_by_length"},
    "label_smoothing": {"label_smoothing_factor": 0.1},
    "epochs": {"max_steps": -1, "num_train_epochs": 2},
    "input tokens": {"include_num_input_tokens_seen": "all"},
    "neftune": {"neftune_noise_alpha": 5.0},
    "no averaging of tokens": {"average_tokens_across_devices": False},
    "split batches": {"accelerator_config": {"split_batches": True}},
    "drop last": {"dataloader_drop_last": True},
    "eval on start": {"eval_on_start": True, "eval_strategy": "epoch"},
    "no clipping": {"max_grad_norm": 0.0},
    "fused": {"optim": "adamw_torch_fused"},
    "sgd": {"optim": "sgd"},
    "rmsprop": {"optim": "rmsprop"},
    "adagrad": {"optim": "adagrad"},
    "adamw 8 bit": {"optim": "adamw_bnb_8bit"},
    "lion": {"optim": "lion_32bit"},
    "cosine": {"lr_scheduler_type": "cosine"},
    "plateau": {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "steps", "eval_steps": 4},
    "greedy": {"lr_scheduler_type": "greedy", "eval_strategy": "steps", "eval_steps": 4},
    "warmup": {"warmup_steps": 5, "lr_scheduler_type": "constant_with_warmup"},
    "auto batch size": {"auto_find_batch_size": True},
    "accumulation": {"gradient_accumulation_steps": 2, "max_steps": 12},
    "full evaluation in bf16": {"bf16_full_eval": True, "eval_strategy": "steps", "eval_steps": 8},
    "compiled": {"torch_compile": True, "torch_compile_backend": "eager"},
}


@pytest.mark.parametrize(
    ("offer", "form"),
    # A compiled model is trained in test_method_trainer.py, and takes ten times as long as the others.
    [*each_once([offer for offer in ACCEPTED if offer != "compiled"], FORMS), *wide(*product(["compiled"], FORMS))],
)
@pytest.mark.filterwarnings("ignore:.*`?include_num_input_tokens_seen.*", "ignore::FutureWarning")
def test_training_meets_the_exact_budget_compacts_and_exports(tmp_path: Path, form: str, offer: str) -> None:
    torch._dynamo.reset()
    script = Script(form, tmp_path / "out", **ACCEPTED[offer])
    script.trainer.train()
    assert script.warned == []
    assert sum(script.ranks()) == 24
    assert script.allocator.is_final
    assert_exports(script, tmp_path / "adapter", 3e-2 if "bf16" in offer else 1e-5)


@pytest.mark.parametrize("form", ["class", *wide("callback")])
def test_mask_stays_applied_for_an_optimizer_whose_state_cannot_be_compacted(tmp_path: Path, form: str) -> None:
    script = Script(form, tmp_path, optim="adafactor")
    script.trainer.train()
    # Whether all modules end at the same rank depends on the rounding of the device.
    assert [code for code in script.warned if code != "ranks_equal"] == ["compaction_unavailable"]
    assert sum(int((layer.c != 0).sum()) for layer in components_of(script.model).layers) == 24


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "fsdp": ({"fsdp": True}, "FSDP and DeepSpeed"),
    "deepspeed": ({"deepspeed": {"zero_optimization": {"stage": 2}}}, "FSDP and DeepSpeed"),
    "several GPUs": ({"n_gpu": 2}, "copy the model to 2 GPUs.*torchrun"),
    "lomo": ({"optim": "lomo"}, "optim='lomo' updates the weights during the backward pass"),
    "adalomo": ({"optim": "adalomo"}, "optim='adalomo' updates"),
    "galore": ({"optim": "galore_adamw_layerwise"}, "optim='galore_adamw_layerwise' projects"),
    "apollo": ({"optim": "apollo_adamw"}, "optim='apollo_adamw' projects"),
    "schedule free": ({"optim": "schedule_free_adamw"}, "set optim to 'adamw_torch'"),
    "scaled gradients": (
        {"fp16": True, "max_grad_norm": 0.0},
        "score='sensitivity' uses the gradients.*max_grad_norm",
    ),
}


@pytest.mark.parametrize("offer", REFUSED)
def test_unsupported_arguments_are_refused_by_name(offer: str) -> None:
    """Most of these need hardware or packages before Trainer itself accepts them, so the check is called directly."""
    changes, words = REFUSED[offer]
    usual: dict[str, Any] = {
        "fsdp": None,
        "deepspeed": None,
        "n_gpu": 1,
        "optim": "adamw_torch",
        "fp16": False,
        "max_grad_norm": 1.0,
    }
    config = DynamicRankConfig(score="sensitivity")
    check_arguments(cast(TrainingArguments, SimpleNamespace(**usual)), config)
    with pytest.raises(ValueError, match=words):
        check_arguments(cast(TrainingArguments, SimpleNamespace(**(usual | changes))), config)


@pytest.mark.parametrize("key", ["lora", "full", "sora", "lora_shrink", "eva"])
def test_every_method_refuses_sharding(tmp_path: Path, key: str) -> None:
    method = create_method(key, {} if key == "full" else {"rank": 2} if key != "lora_shrink" else {"target_rank": 2})
    model = method.prepare(*build())
    trainer = make_trainer_class(Trainer)(
        model=model, args=arguments(tmp_path), method=method, train_dataset=Rows(), callbacks=method.callbacks()
    )
    trainer.args.fsdp = True
    with pytest.raises(ValueError, match="FSDP and DeepSpeed shard"):
        trainer.train()


@pytest.mark.parametrize("form", FORMS)
def test_training_begins_by_checking_the_arguments(tmp_path: Path, form: str) -> None:
    script = Script(form, tmp_path)
    script.trainer.args.optim = "lomo"
    with pytest.raises(ValueError, match="optim='lomo'"):
        next(c for c in script.trainer.callback_handler.callbacks if isinstance(c, DynamicRankCallback)).on_train_begin(
            script.trainer.args, script.trainer.state, script.trainer.control, model=script.model
        )


BEST: dict[str, dict[str, Any]] = {
    "steps": {"save_strategy": "steps", "save_steps": 4, "eval_strategy": "steps", "eval_steps": 4},
    "best": {"save_strategy": "best", "eval_strategy": "steps", "eval_steps": 4},
    "epoch": {
        "save_strategy": "epoch",
        "eval_strategy": "epoch",
        "num_train_epochs": 6,
        "max_steps": -1,
        "per_device_train_batch_size": 16,
    },
    "one checkpoint": {
        "save_strategy": "steps",
        "save_steps": 4,
        "eval_strategy": "steps",
        "eval_steps": 4,
        "save_total_limit": 1,
    },
    "model only": {
        "save_strategy": "steps",
        "save_steps": 4,
        "eval_strategy": "steps",
        "eval_steps": 4,
        "save_only_model": True,
    },
}


@pytest.mark.parametrize(("strategy", "form", "compact"), each_once(BEST, FORMS, [True, False]))
def test_the_best_model_at_the_end_is_the_best_one_after_the_final_mask(
    tmp_path: Path, form: str, strategy: str, compact: bool
) -> None:
    best: dict[str, Any] = {"load_best_model_at_end": True, "metric_for_best_model": "loss", "learning_rate": 0.3}
    script = Script(form, tmp_path / "out", {"compact": compact}, **BEST[strategy], **best)
    script.trainer.train()
    evaluated = {
        entry["step"]: entry["eval_loss"]
        for entry in script.trainer.state.log_history
        if "eval_loss" in entry and entry["step"] >= script.allocator.schedule.t_f
    }
    step = min(evaluated, key=lambda step: evaluated[step])
    assert script.trainer.state.best_global_step == step
    assert script.trainer.evaluate()["eval_loss"] == pytest.approx(evaluated[step], abs=1e-6)
    assert script.allocator.last_step == step
    assert script.warned == []
    assert_exports(script, tmp_path / "adapter")
    assert sum(json.loads((tmp_path / "adapter" / "rank_pattern.json").read_text()).values()) == 24


@pytest.mark.parametrize("form", ["callback", *wide("class")])
def test_early_stopping_waits_for_the_final_mask(tmp_path: Path, form: str) -> None:
    changes: dict[str, Any] = {
        "save_strategy": "steps",
        "save_steps": 1,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "learning_rate": 1.0,
    }
    script = Script(
        form,
        tmp_path,
        extra=[EarlyStoppingCallback(1)],
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        **changes,
    )
    script.trainer.train()
    assert script.trainer.state.global_step > script.allocator.schedule.t_f
    assert script.warned == []


@pytest.mark.parametrize("form", ["class", *wide("callback")])
def test_training_again_is_refused_after_compaction(tmp_path: Path, form: str) -> None:
    script = Script(form, tmp_path)
    script.trainer.train()
    with pytest.raises(RuntimeError, match="already compacted"):
        script.trainer.train()


@pytest.mark.parametrize("form", ["callback", *wide("class")])
def test_evaluating_before_training_works(tmp_path: Path, form: str) -> None:
    script = Script(form, tmp_path)
    before = script.trainer.evaluate()["eval_loss"]
    plain = Trainer(model=build()[0], args=arguments(tmp_path), eval_dataset=Rows(16)).evaluate()["eval_loss"]
    assert before == pytest.approx(plain, abs=1e-6)
    script.trainer.train()
    assert script.warned == []


def test_model_init_creates_a_new_model_for_each_training_with_the_callback(tmp_path: Path) -> None:
    config = DynamicRankConfig(**OPTIONS, eta=0)
    callback = DynamicRankCallback(config)
    trainer = Trainer(
        model_init=lambda: cast(PreTrainedModel, wrap(build()[0], config, "SEQ_CLS")),
        args=arguments(tmp_path),
        train_dataset=Rows(),
        callbacks=[callback],
    )
    for _ in range(2):
        trainer.train()
        assert isinstance(trainer.model, nn.Module)
        assert sum(len(layer.kept) for layer in components_of(trainer.model).layers) == 24


def test_trainer_class_refuses_model_init(tmp_path: Path) -> None:
    method = create_method("dynamic_rank", OPTIONS)
    with pytest.raises(ValueError, match=r"model_init.*DynamicRankCallback"):
        make_trainer_class(Trainer)(
            model_init=lambda: method.prepare(*build()), args=arguments(tmp_path), method=method, train_dataset=Rows()
        )


def adamw(rate_of_c: float = 1.0) -> Any:
    def make(model: Any) -> Any:
        scales = {id(layer.c) for layer in components_of(model).layers}
        trained = [p for p in model.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            [
                {"params": [p for p in trained if id(p) not in scales], "lr": 1e-2},
                {"params": [p for p in trained if id(p) in scales], "lr": 1e-2 * rate_of_c},
            ]
        )

    return make


@pytest.mark.parametrize("form", ["callback", *wide("class")])
def test_custom_optimizer_is_compacted_too(tmp_path: Path, form: str) -> None:
    script = Script(form, tmp_path, own=adamw())
    script.trainer.train()
    assert script.warned == []
    assert sum(script.ranks()) == 24


@pytest.mark.parametrize("form", ["class", *wide("callback")])
def test_optimizer_without_the_components_is_refused(tmp_path: Path, form: str) -> None:
    script = Script(form, tmp_path, own=lambda model: torch.optim.AdamW(model.get_base_model().classifier.parameters()))
    with pytest.raises(ValueError, match=r"lacks 36 tensors of components.*after wrap"):
        script.trainer.train()


@pytest.mark.parametrize(
    ("form", "own", "is_refused"),
    [
        ("callback", None, True),
        ("callback", adamw(), True),
        ("callback", adamw(5.0), False),
        ("class", None, False),
        ("class", adamw(), True),
        ("class", adamw(5.0), False),
    ],
)
def test_optimizer_without_the_learning_rate_of_c_is_refused(
    tmp_path: Path, form: str, own: Any, is_refused: bool
) -> None:
    script = Script(form, tmp_path, {"c_lr_scale": 5.0}, own=own)
    if is_refused:
        with pytest.raises(ValueError, match=r"c_lr_scale=5.0, but in the optimizer c has the learning rate of A"):
            script.trainer.train()
    else:
        script.trainer.train()
        assert script.warned == []


@pytest.mark.parametrize("form", ["callback", *wide("class")])
def test_pushing_to_the_hub_uploads_the_adapter(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded = []

    class Hub:
        def create_repo(self, *args: Any, **kwargs: Any) -> Any:
            return SimpleNamespace(repo_id="me/it")

        def upload_folder(self, folder_path: str, **kwargs: Any) -> Any:
            uploaded.append({path.name for path in Path(folder_path).iterdir()})
            return SimpleNamespace(done=lambda: True)

    monkeypatch.setattr("transformers.trainer.hf_api", Hub)
    monkeypatch.setattr(Trainer, "create_model_card", lambda *args, **kwargs: None)
    script = Script(form, tmp_path, push_to_hub=True, save_strategy="steps", save_steps=20)
    script.trainer.train()
    script.trainer.push_to_hub()
    assert len(uploaded) == 2
    for files in uploaded:
        assert {"adapter_model.safetensors", "adapter_config.json"} <= files
        assert "rank_state.json" not in files
    loaded = PeftModel.from_pretrained(build()[0], tmp_path)
    torch.testing.assert_close(logits(loaded, batch()), logits(script.model, batch()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["class", *wide("callback")])
def test_modules_that_are_never_called_cause_a_warning(tmp_path: Path, form: str) -> None:
    base, _ = build()
    base.bert.encoder.layer[1].forward = lambda hidden, *args, **kwargs: hidden
    script = Script(form, tmp_path, model=base)
    script.trainer.train()
    assert script.warned == ["no_gradient"]
    assert sum(script.ranks()) == 24


@pytest.mark.parametrize(("score", "form"), each_once(["sensitivity", "adalora"], FORMS))
def test_gradient_scores_count_missing_gradients_as_zero(tmp_path: Path, form: str, score: str) -> None:
    base, _ = build()
    base.bert.encoder.layer[1].forward = lambda hidden, *args, **kwargs: hidden
    script = Script(form, tmp_path, {"score": score, "init": "zero_b", "eta": 0}, model=base)
    script.trainer.train()
    assert script.warned == ["no_gradient"]
    scores = script.snapshots[-1].scores
    assert not scores[6:].any()
    assert scores[:6].all()
