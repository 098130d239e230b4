import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import Seq2SeqTrainer, Trainer, TrainerCallback

from dynamic_rank import (
    RankMethod,
    create_method,
    dem_loss,
    make_trainer_class,
)
from dynamic_rank.adapter.components import components_of
from dynamic_rank.allocation.snapshot import Snapshot
from tests.dynamic_rank.method_runs import Probe, train
from tests.dynamic_rank.tiny_models import Rows, arguments, batch, build, labels, logits
from tests.wide import wide


@pytest.mark.parametrize("compact", [True, False])
def test_live_components_in_the_model_equal_the_budget_after_every_pruning(tmp_path: Path, compact: bool) -> None:
    probe = Probe()
    snapshots: list[Snapshot] = []
    trainer, _method, warned = train(
        tmp_path, options={"compact": compact}, on_snapshot=snapshots.append, extra=[probe]
    )
    assert not warned
    prunings = [s for s in snapshots if s.is_pruning_step]
    assert [s.step for s in prunings] == [3, 5, 7, 9, 10]
    for s in prunings:
        assert s.decision is not None
        assert sum(probe.live[s.step]) == s.budget == s.live == s.decision.live
        assert probe.live[s.step] == s.ranks
    final = prunings[-1].ranks
    assert all(probe.live[step] == final for step in range(10, 21))
    cut = [layer.A.shape[0] for layer in components_of(trainer.model).layers]
    assert cut == (final if compact else [3] * 12)


def without_dropout(model: Any) -> Any:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def test_each_optimizer_step_adds_the_dem_term_and_its_gradient_once_until_pruning_ends(tmp_path: Path) -> None:
    trainer, method, _ = train(tmp_path)
    model, inputs = without_dropout(trainer.model), batch() | {"labels": labels()}

    def stepped(*, is_due: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
        model.zero_grad()
        components_of(model).is_term_due = is_due
        loss = trainer.training_step(model, dict(inputs))
        return loss, [p.grad for p in model.parameters() if p.requires_grad]

    plain, _ = stepped(is_due=False)
    assert stepped(is_due=True)[0] == plain  # the mask is final
    method._callback.allocator.last_step = 5
    found = stepped(is_due=True)
    assert not components_of(model).is_term_due
    assert stepped(is_due=False)[0] == plain
    model.zero_grad()
    expected = trainer.compute_loss(model, dict(inputs)) + 0.1 * dem_loss(model)
    expected.backward()
    torch.testing.assert_close(found[0], expected.detach())
    torch.testing.assert_close(found[1], [p.grad for p in model.parameters() if p.requires_grad])
    model.eval()
    torch.testing.assert_close(trainer.compute_loss(model, dict(inputs)), plain)


def test_a_gradient_scaler_scales_the_gradient_of_the_dem_term(tmp_path: Path) -> None:
    trainer, method, _ = train(tmp_path)
    method._callback.allocator.last_step = 5
    found = []
    for scale in (None, torch.tensor(8.0)):
        trainer.model.zero_grad()
        components_of(trainer.model).is_term_due = True
        value = method.add_gradients(scale)
        torch.testing.assert_close(value, 0.1 * dem_loss(trainer.model).detach())
        found.append([layer.A.grad for layer in components_of(trainer.model).layers])
    torch.testing.assert_close(found[1], [8 * cast(torch.Tensor, gradient) for gradient in found[0]])


def test_c_has_its_own_learning_rate_with_a_scheduler(tmp_path: Path) -> None:
    trainer, _, _ = train(tmp_path, options={"c_lr_scale": 5.0}, max_steps=19)
    scales = {id(layer.c) for layer in components_of(trainer.model).layers}
    # Weight decay applies to all parameters, so Trainer's group without it is empty.
    for group in filter(lambda group: group["params"], trainer.optimizer.param_groups):
        assert group["initial_lr"] == pytest.approx(5e-2 if id(group["params"][0]) in scales else 1e-2)
        assert len({id(p) in scales for p in group["params"]}) <= 1


def test_the_adapter_of_a_trained_run_loads_as_plain_lora(tmp_path: Path) -> None:
    trainer, method, _ = train(tmp_path)
    expected = logits(trainer.model, batch())
    method.export(tmp_path / "adapter")
    trainer.save_model(str(tmp_path / "saved"))
    for folder in ("adapter", "saved"):
        loaded = PeftModel.from_pretrained(build()[0], tmp_path / folder)
        torch.testing.assert_close(logits(loaded, batch()), expected, rtol=1e-6, atol=1e-6)
    ranks = json.loads((tmp_path / "adapter" / "rank_pattern.json").read_text())
    assert list(ranks) == [module.name for module in method.modules()]
    assert sum(ranks.values()) == 24
    kept = sum(ranks[module.name] * (module.in_features + module.out_features) for module in method.modules())
    assert method.kept_parameters().adapter == kept
    assert method.trained_parameters().adapter == sum(
        3 * (m.in_features + m.out_features + 1) for m in method.modules()
    )
    assert method.kept_parameters().head == 16 * 2 + 2


def test_exporting_during_training_changes_nothing(tmp_path: Path) -> None:
    class Export(TrainerCallback):
        method: RankMethod

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            self.method.export(tmp_path / "now")

    def losses(extra: Sequence[Export]) -> Any:
        model, task = build()
        method = create_method("dynamic_rank", {"target_rank": 2, "prune_interval": 2})
        model = method.prepare(model, task)
        for callback in extra:
            callback.method = method
        trainer = make_trainer_class(Trainer)(
            model=model,
            args=arguments(tmp_path),
            method=method,
            train_dataset=Rows(),
            callbacks=[*method.callbacks(), *extra],
        )
        trainer.train()
        return [entry.get("loss") for entry in trainer.state.log_history]

    assert losses([Export()]) == losses([])


def test_lora_reports_shares_with_full_masks_and_exports(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    trainer, method, _ = train(tmp_path, "lora", {"use_rslora": True}, on_snapshot=snapshots.append)
    assert [s.step for s in snapshots] == list(range(21))
    assert snapshots[-1].mask.all()
    assert snapshots[-1].live == snapshots[-1].budget == 24
    layer = dict(trainer.model.get_base_model().named_modules())[method.modules()[5].name]
    A, B = layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()
    naive = [torch.linalg.matrix_norm(torch.outer(B[:, i], A[i])) / torch.linalg.matrix_norm(B @ A) for i in range(2)]
    np.testing.assert_allclose(snapshots[-1].scores[5], torch.stack(naive).cpu().numpy(), rtol=1e-5)
    method.export(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(build()[0], tmp_path / "adapter")
    torch.testing.assert_close(logits(loaded, batch()), logits(trainer.model, batch()), rtol=1e-6, atol=1e-6)
    assert method.trained_parameters() == method.kept_parameters()


def test_full_trains_every_weight_and_exports_a_model(tmp_path: Path) -> None:
    trainer, method, _ = train(tmp_path, "full")
    assert method.modules() == []
    assert method.callbacks() == []
    assert method.trained_parameters().adapter == sum(p.numel() for p in trainer.model.parameters())
    method.export(tmp_path / "model")
    loaded = type(trainer.model).from_pretrained(tmp_path / "model").to(trainer.model.device)
    assert torch.equal(logits(loaded, batch()), logits(trainer.model, batch()))


def test_best_checkpoint_is_from_after_the_final_mask_and_is_loaded(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "eval_strategy": "steps",
        "eval_steps": 4,
        "save_strategy": "steps",
        "save_steps": 4,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "learning_rate": 1.0,  # so high that the loss is lowest at an early step
    }
    trainer, _method, _ = train(tmp_path, **changes)
    assert trainer.state.best_global_step >= 12
    again = create_method("dynamic_rank", {"target_rank": 2, "prune_interval": 2})
    model, task = build()
    model = again.prepare(model, task)
    again.load_state(trainer.state.best_model_checkpoint)
    assert torch.equal(logits(model, batch()), logits(trainer.model, batch()))


def test_any_trainer_can_be_the_base(tmp_path: Path) -> None:
    from transformers import Seq2SeqTrainingArguments

    class Own(Seq2SeqTrainer):
        pass

    assert make_trainer_class(Own).__name__ == "MethodOwn"
    assert issubclass(make_trainer_class(Own), Own)
    assert Seq2SeqTrainingArguments is not None


def test_a_trainer_without_the_methods_callback_is_refused(tmp_path: Path) -> None:
    model, task = build()
    method = create_method("dynamic_rank", {"target_rank": 2, "prune_interval": 2})
    trainer = make_trainer_class(Trainer)(
        model=method.prepare(model, task), args=arguments(tmp_path), method=method, train_dataset=Rows()
    )
    with pytest.raises(
        RuntimeError, match=r"does not have this method.s DynamicRankCallback.*callbacks=method.callbacks"
    ):
        trainer.train()


def test_run_too_short_for_the_schedule_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prune_interval=100 does not fit"):
        train(tmp_path, options={"prune_interval": 100})


def test_nan_scores_cause_one_warning_and_the_budget_stays_exact(tmp_path: Path) -> None:
    class Poison(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step == 5:
                with torch.no_grad():
                    components_of(model).layers[3].A.fill_(float("nan"))

    snapshots: list[Snapshot] = []
    _, _, warned = train(tmp_path, on_snapshot=snapshots.append, extra=[Poison()])
    assert [code for code, _ in warned] == ["nan_scores"]
    final = next(s for s in snapshots if s.is_final)
    assert final.live == final.budget == 24
    assert np.isnan(final.scores).any()


def test_run_that_stops_before_the_final_mask_causes_a_warning(tmp_path: Path) -> None:
    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            control.should_training_stop = state.global_step == 5
            return control

    _, _, warned = train(tmp_path, extra=[Stop()])
    assert [code for code, _ in warned] == ["stopped_before_final_mask"]


def test_budget_that_cannot_change_causes_a_warning(tmp_path: Path) -> None:
    _, _, warned = train(tmp_path, options={"initial_rank": 2})
    assert [code for code, _ in warned] == ["budget_unmoved"]


def test_equal_final_ranks_cause_a_warning(tmp_path: Path) -> None:
    class Even(TrainerCallback):
        """Sets all but the first two components of every module to zero."""

        def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            with torch.no_grad():
                for layer in components_of(model).layers:
                    layer.c.copy_(torch.tensor([1.0, 1.0, 0.0])[: len(layer.c)])

    _, _, warned = train(tmp_path, options={"score": "abs_c"}, extra=[Even()])
    assert [code for code, _ in warned] == ["ranks_equal"]


def test_mask_stays_applied_if_the_optimizer_cannot_be_compacted(tmp_path: Path) -> None:
    probe = Probe()
    _, _, warned = train(tmp_path, extra=[probe], optim="adafactor")
    # Whether all modules end at the same rank depends on the rounding of the device.
    assert [code for code, _ in warned if code != "ranks_equal"] == ["compaction_unavailable"]
    assert all(sum(probe.live[step]) == 24 for step in range(10, 21))


def test_callbacks_of_an_earlier_call_are_refused(tmp_path: Path) -> None:
    model, task = build()
    method = create_method("dynamic_rank", {"target_rank": 2, "prune_interval": 2})
    model = method.prepare(model, task)
    stale = method.callbacks()
    method.callbacks()
    trainer = make_trainer_class(Trainer)(
        model=model, args=arguments(tmp_path), method=method, train_dataset=Rows(), callbacks=stale
    )
    with pytest.raises(RuntimeError, match="result of the latest call"):
        trainer.train()


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_changes_no_rank(tmp_path: Path, reentrant: bool) -> None:
    plain: list[Snapshot] = []
    recomputed: list[Snapshot] = []
    train(tmp_path, on_snapshot=plain.append)
    options: dict[str, Any] = {
        "activation_checkpointing": True,
        "activation_checkpointing_kwargs": {"use_reentrant": reentrant},
    }
    train(tmp_path, on_snapshot=recomputed.append, **options)
    assert recomputed[-1].ranks == plain[-1].ranks


@pytest.mark.parametrize("backend", ["aot_eager", *wide("eager")])
def test_compiled_model_makes_the_same_decisions_and_is_compacted(tmp_path: Path, backend: str) -> None:
    plain: list[Snapshot] = []
    compiled: list[Snapshot] = []
    options: dict[str, Any] = {"target_rank": 1, "initial_rank": 4, "score": "norm", "lora_dropout": 0.0}
    train(tmp_path, options=options, on_snapshot=plain.append)
    torch._dynamo.reset()
    trainer, _, warned = train(
        tmp_path,
        options=options,
        on_snapshot=compiled.append,
        torch_compile=True,
        torch_compile_backend=backend,
        tf32=False,
    )
    assert not warned
    assert [s.ranks for s in compiled] == [s.ranks for s in plain]
    assert [len(layer.kept) for layer in components_of(trainer.model).layers] == plain[-1].ranks


def test_a_bf16_base_keeps_float32_components_and_exports(tmp_path: Path) -> None:
    model, task = build()
    method = create_method("dynamic_rank", {"target_rank": 2, "prune_interval": 2})
    model = method.prepare(model.to(torch.bfloat16), task)
    trainer = make_trainer_class(Trainer)(
        model=model, args=arguments(tmp_path), method=method, train_dataset=Rows(), callbacks=method.callbacks()
    )
    trainer.train()
    assert {parameter.dtype for parameter in components_of(model).parameters()} == {torch.float32}
    method.export(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(build()[0].to(torch.bfloat16), tmp_path / "adapter")
    torch.testing.assert_close(logits(loaded, batch()), logits(model, batch()), rtol=1e-2, atol=1e-2)


def test_adapter_can_be_disabled_and_enabled_after_compaction(tmp_path: Path) -> None:
    options: dict[str, Any] = {"target_rank": 1, "initial_rank": 4, "score": "norm"}
    trainer, method, _ = train(tmp_path, options=options)
    model = trainer.model
    assert min(len(layer.kept) for layer in components_of(model).layers) == 0
    adapted = logits(model, batch())
    with model.disable_adapter():
        assert not torch.equal(logits(model, batch()), adapted)
    assert torch.equal(logits(model, batch()), adapted)
    method.save_state(tmp_path / "state")
    method.load_state(tmp_path / "state")
    assert torch.equal(logits(model, batch()), adapted)
