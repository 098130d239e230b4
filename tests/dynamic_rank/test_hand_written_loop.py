"""A hand-written training loop: operations on model, optimizer and gradients around RankAllocator and compact."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from bitsandbytes.optim.adamw import AdamW8bit
from peft import LoraConfig, PeftModel
from torch import nn
from transformers import Adafactor

from dynamic_rank import (
    DynamicRankConfig,
    RankAllocator,
    RankWarning,
    compact,
    create_method,
    dem_loss,
    export_lora,
    orthogonal_loss,
    wrap,
)
from dynamic_rank.adapter.components import components_of
from tests.dynamic_rank.tiny_models import batch, build, labels, logits
from tests.wide import each_once

STEPS = 12
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda parameters: None,
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9),
    "plain sgd": lambda parameters: torch.optim.SGD(parameters, lr=1e-2),
    "8 bit": lambda parameters: AdamW8bit(parameters, lr=1e-2),  # type: ignore[no-untyped-call]
}


class Loop:
    """Twelve steps, with pruning after 2, 4 and 6, and compaction after 6."""

    def __init__(self, optimizer: str = "adamw", **options: Any) -> None:
        usual: dict[str, Any] = {
            "target_rank": 2,
            "prune_interval": 2,
            "pruning_phase": "absolute",
            "lora_dropout": 0.0,
        }
        self.config = DynamicRankConfig(**(usual | {"init": "zero_b"} | options))
        base, task = build()
        self.model = wrap(base, self.config, task)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = OPTIMIZERS[optimizer](self.parameters)
        self.allocator = RankAllocator(self.model, self.config, STEPS)
        self.loss: Any = None

    def backward(self, step: int) -> None:
        # `self.loss` still refers to the previous loss here, like a loop variable.
        torch.manual_seed(step)
        self.loss = self.model(**batch(seed=step), labels=labels()).loss + 0.1 * dem_loss(self.model)
        self.loss.backward()

    def step(self, step: int) -> Any:
        self.backward(step)
        self.allocator.observe_gradients()
        if self.optimizer is not None:
            self.optimizer.step()
        self.model.zero_grad()
        decision = self.allocator.step(step)
        if decision is not None and decision.is_final:
            compact(self.model, self.allocator.masks(), self.optimizer)
        return decision

    def run(self, first: int = 1, last: int = STEPS) -> Any:
        for step in range(first, last + 1):
            self.step(step)
        return self

    def ranks(self) -> list[int]:
        return [len(layer.kept) for layer in components_of(self.model).layers]


@pytest.mark.parametrize(("optimizer", "score"), each_once(OPTIMIZERS, ["norm", "sensitivity", "adalora", "random"]))
@pytest.mark.filterwarnings("ignore:.*scores_zero:dynamic_rank.RankWarning")  # without an optimizer nothing changes
def test_training_continues_after_compaction_while_a_loss_is_referenced(optimizer: str, score: str) -> None:
    loop = Loop(optimizer, score=score).run()
    assert sum(loop.ranks()) == 24
    assert loop.loss.isfinite()


def test_gradients_after_compaction_do_not_depend_on_a_referenced_loss() -> None:
    gradients = []
    for is_alive in (True, False):
        loop = Loop().run(last=6)
        kept = loop.loss if is_alive else None
        loop.loss = None
        loop.backward(7)
        gradients.append([p.grad.clone() for p in loop.parameters if p.grad is not None])
        assert (kept is None) != is_alive
    for a, b in zip(*gradients, strict=True):
        assert torch.equal(a, b)


def test_graph_from_before_compaction_cannot_change_compacted_tensors() -> None:
    loop = Loop().run(last=5)
    loop.loss = loss = loop.model(**batch(), labels=labels()).loss
    loss.backward(retain_graph=True)
    loop.optimizer.step()
    loop.model.zero_grad()
    loop.allocator.step(6)
    compact(loop.model, loop.allocator.masks(), loop.optimizer)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_state_can_be_restored_while_a_loss_is_referenced(tmp_path: Path) -> None:
    method = create_method("dynamic_rank", {"target_rank": 2, "prune_interval": 2})
    model = method.prepare(*build())
    method.save_state(tmp_path)
    loss = model(**batch(), labels=labels()).loss
    layers = components_of(model).layers
    compact(model, {layer.name: [True, False, True] for layer in layers})
    alive = model(**batch(), labels=labels()).loss
    method.load_state(tmp_path)
    model(**batch(), labels=labels()).loss.backward()
    assert layers[0].A.grad is not None
    assert layers[0].A.grad.shape == (3, 16)
    assert loss.isfinite()
    assert alive.isfinite()


def test_optimizer_with_factored_states_is_refused_before_anything_changes() -> None:
    loop = Loop()
    loop.optimizer = Adafactor(loop.parameters, lr=1e-2, relative_step=False, scale_parameter=False)
    loop.run(last=5)
    loop.backward(6)
    loop.optimizer.step()
    loop.allocator.step(6)
    with pytest.raises(ValueError, match="compact=False or use AdamW"):
        compact(loop.model, loop.allocator.masks(), loop.optimizer)
    assert loop.ranks() == [3] * 12
    # The mask is still applied instead.
    for step in range(7, STEPS + 1):
        loop.backward(step)
        loop.optimizer.step()
        loop.allocator.step(step)
        assert sum(int((layer.c != 0).sum()) for layer in loop.allocator.layers) == 24


@pytest.mark.parametrize("score", ["sensitivity", "adalora"])
def test_step_that_a_gradient_scaler_skips_does_not_count_for_the_scores(score: str) -> None:
    loop = Loop(score=score).run(last=2)
    before = loop.allocator.scores()
    loop.backward(3)
    loop.allocator.layers[4].c.grad[1] = float("inf")
    loop.allocator.observe_gradients()
    loop.model.zero_grad()
    loop.allocator.step(3)
    torch.testing.assert_close(loop.allocator.scores(), before)
    loop.run(first=4)
    assert loop.allocator.scores().isfinite().all()
    assert sum(loop.ranks()) == 24


@pytest.mark.parametrize("score", ["sensitivity", "adalora"])
def test_diverged_weights_appear_in_the_scores(score: str) -> None:
    loop = Loop(score=score).run(last=2)
    with torch.no_grad():
        loop.allocator.layers[3].c.fill_(float("nan"))
    loop.step(3)
    assert loop.allocator.scores().isnan().any()


@pytest.mark.parametrize("score", ["sensitivity", "adalora"])
def test_gradients_dropped_before_they_were_observed_are_refused(score: str) -> None:
    loop = Loop(score=score)
    loop.backward(1)
    loop.optimizer.step()
    loop.model.zero_grad()
    with pytest.raises(ValueError, match="before zero_grad"):
        loop.allocator.observe_gradients()
    with pytest.raises(ValueError, match="before zero_grad"):
        loop.allocator.step(1)


@pytest.mark.parametrize("score", ["sensitivity", "adalora"])
def test_gradients_zeroed_before_they_were_observed_cause_a_warning(score: str) -> None:
    loop = Loop(score=score)
    for step in range(1, 5):
        loop.backward(step)
        loop.optimizer.step()
        loop.optimizer.zero_grad(set_to_none=False)
        loop.allocator.observe_gradients()
        if step < 4:
            loop.allocator.step(step)
    with pytest.warns(RankWarning, match=r"\[scores_zero\].*observe_gradients"):
        loop.allocator.step(4)


@pytest.mark.parametrize("steps", [(1, 1), (2,), (1, 3)])
def test_repeated_or_skipped_step_is_refused(steps: tuple[int, ...]) -> None:
    loop = Loop(score="norm")
    for step in steps[:-1]:
        loop.allocator.step(step)
    with pytest.raises(ValueError, match="call it once after every optimizer step"):
        loop.allocator.step(steps[-1])


def test_observing_gradients_does_nothing_for_other_scores_and_after_the_final_mask() -> None:
    loop = Loop(score="norm")
    loop.allocator.observe_gradients()
    final = Loop(score="adalora").run()
    final.allocator.observe_gradients()


def test_config_with_another_initial_rank_is_refused() -> None:
    loop = Loop()
    with pytest.raises(ValueError, match="wrapped with initial_rank=3, but this config has 5"):
        RankAllocator(loop.model, DynamicRankConfig(target_rank=2, initial_rank=5, prune_interval=2), STEPS)


def other_adapter(model: Any) -> None:
    model.add_adapter("other", LoraConfig(r=2, target_modules=["query"], task_type="SEQ_CLS"))
    model.set_adapter("other")


def deleted(model: Any) -> None:
    other_adapter(model)
    model.delete_adapter("default")


DISTURBED: dict[str, tuple[Callable[[Any], object], str]] = {
    "another adapter": (other_adapter, "is not active.*set_adapter"),
    "merged": (lambda model: model.merge_adapter(), "is merged.*unmerge_adapter"),
    "switched off": (lambda model: model.base_model.disable_adapter_layers(), "is not active"),
    "frozen": (lambda model: model.requires_grad_(False), "is frozen"),
    "deleted": (deleted, "was deleted"),
}


@pytest.mark.parametrize("what", DISTURBED)
@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")
def test_adapter_that_does_not_train_is_refused_before_it_is_scored(what: str) -> None:
    disturb, words = DISTURBED[what]
    loop = Loop().run(last=3)
    disturb(loop.model)
    with pytest.raises(ValueError, match=words):
        loop.allocator.step(4)
    with pytest.raises(ValueError, match=words):
        RankAllocator(loop.model, loop.config, STEPS)


def test_switching_to_another_adapter_and_back_changes_nothing() -> None:
    plain, switched = Loop().run(), Loop().run(last=5)
    other_adapter(switched.model)
    switched.model.set_adapter("default")
    switched.step(6)
    with switched.model.disable_adapter():
        logits(switched.model, batch())
    switched.model.set_adapter("other")
    switched.model.set_adapter("default")
    switched.run(first=7)
    assert switched.ranks() == plain.ranks()
    assert torch.equal(logits(switched.model, batch()), logits(plain.model, batch()))


@pytest.mark.parametrize("last", [3, STEPS])
def test_deep_copy_is_an_independent_model(tmp_path: Path, last: int) -> None:
    loop = Loop(score="norm", target_rank=1, initial_rank=4).run(last=last)
    twin = copy.deepcopy(loop.model)
    expected = logits(twin, batch())
    for parameter in loop.parameters:
        parameter.data.add_(1.0)
    assert torch.equal(logits(twin, batch()), expected)
    twin.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(build()[0], tmp_path)
    torch.testing.assert_close(logits(loaded, batch()), expected, rtol=1e-5, atol=1e-5)
    components = components_of(twin)
    assert components is not components_of(loop.model)
    own = {id(parameter) for parameter in twin.parameters()}
    assert all(id(parameter) in own for parameter in components.parameters())


def test_state_dict_loads_only_into_a_model_of_the_same_ranks() -> None:
    loop = Loop().run(last=3)
    fresh = Loop()
    fresh.model.load_state_dict(loop.model.state_dict())
    assert torch.equal(logits(fresh.model, batch()), logits(loop.model, batch()))
    loop.run(first=4)
    with pytest.raises(ValueError, match=r"components of .* this model has 3.*compacted"):
        fresh.model.load_state_dict(loop.model.state_dict())


@pytest.mark.parametrize("last", [3, STEPS])
@pytest.mark.parametrize("options", [{}, {"score": "norm", "target_rank": 1, "initial_rank": 4}])
@pytest.mark.filterwarnings("ignore:Already unmerged:UserWarning")  # modules at rank 0 have nothing to merge
def test_merging_gives_the_trained_model_and_unloading_gives_the_base(last: int, options: dict[str, Any]) -> None:
    loop = Loop(**options).run(last=last)
    expected = logits(loop.model, batch())
    merged = copy.deepcopy(loop.model).merge_and_unload()
    torch.testing.assert_close(logits(merged, batch()), expected, rtol=1e-4, atol=1e-5)
    loop.model.merge_adapter()
    torch.testing.assert_close(logits(loop.model, batch()), expected, rtol=1e-4, atol=1e-5)
    loop.model.unmerge_adapter()
    assert "lora" not in str([name for name, _ in loop.model.unload().named_parameters()])


@pytest.mark.parametrize("compacted", [False, True])
def test_changing_the_dtype_during_training_keeps_the_budget(tmp_path: Path, compacted: bool) -> None:
    loop = Loop(compact=compacted).run(last=5)
    loop.model.to(torch.bfloat16)
    loop.optimizer = torch.optim.AdamW(loop.parameters, lr=1e-2)
    for step in range(6, STEPS + 1):
        loop.backward(step)
        loop.optimizer.step()
        loop.model.zero_grad()
        loop.allocator.step(step)
        assert sum(int((layer.c != 0).sum()) for layer in loop.allocator.layers) == 24
    export_lora(loop.model, tmp_path)


def test_saving_during_training_changes_nothing(tmp_path: Path) -> None:
    plain, saved = Loop().run(), Loop()
    for step in range(1, STEPS + 1):
        saved.step(step)
        saved.model.save_pretrained(str(tmp_path / str(step)))
    assert torch.equal(logits(saved.model, batch()), logits(plain.model, batch()))
    assert not (tmp_path / "5" / "rank_state.json").exists()


def test_export_is_not_loaded_into_the_components(tmp_path: Path) -> None:
    loop = Loop().run()
    loop.model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"has no rank_state\.json.*PeftModel\.from_pretrained\(base_model"):
        loop.model.load_adapter(tmp_path, "default")
    loop.model.load_adapter(str(tmp_path), "exported")
    loop.model.set_adapter("exported")
    loaded = PeftModel.from_pretrained(build()[0], tmp_path)
    torch.testing.assert_close(logits(loop.model, batch()), logits(loaded, batch()))


def test_training_in_evaluation_mode_changes_the_ranks_too() -> None:
    loop = Loop()
    loop.model.eval()
    loop.run()
    assert sum(loop.ranks()) == 24


class Tiny(nn.Module):
    """Blocks with a linear of one output and one of one input, like a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList([nn.Linear(6, 1), nn.Linear(1, 6)]) for _ in range(2))
        self.config = {"model_type": "tiny"}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for down, up in cast(Iterable[tuple[nn.Module, nn.Module]], self.layers):
            x = x + up(down(x).tanh())
        return x


def test_vectors_of_one_element_have_no_variance_and_are_excluded_from_the_mean() -> None:
    model = wrap(Tiny(), DynamicRankConfig(target_rank=2, init="paper"))
    layers = components_of(model).layers
    naive = [row.var(unbiased=True) for layer in layers for row in layer.A if len(row) > 1]
    naive += [column.var(unbiased=True) for layer in layers for column in layer.B.T if len(column) > 1]
    loss = dem_loss(model)
    torch.testing.assert_close(loss, torch.stack(naive).mean())
    (loss + orthogonal_loss(model)).backward()
    gradients = [tensor.grad for layer in layers for tensor in (layer.A, layer.B)]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_model_with_only_one_element_vectors_has_no_dem_term() -> None:
    model = wrap(nn.Sequential(nn.Linear(1, 1)), DynamicRankConfig(target_rank=1))
    assert dem_loss(model) == 0
