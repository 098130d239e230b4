"""AdaLoRA: scores, masks and the orthogonal term are those of PEFT."""

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import AdaLoraConfig, get_peft_model
from peft.tuners.adalora.layer import RankAllocator as PeftAllocator

from dynamic_rank import DynamicRankConfig, RankAllocator, orthogonal_loss, wrap
from dynamic_rank.adapter.components import components_of
from dynamic_rank.methods.adalora import AdaLora
from tests.dynamic_rank.rivals import made, train
from tests.dynamic_rank.tiny_models import DEVICE, batch, build, labels, random_like


def test_adalora_scores_and_masks_are_those_of_pefts_allocator() -> None:
    """Both get the same factors and gradients at every step; PEFT rounds the budget down, so both use ours."""
    model, task = build()
    config = made(AdaLora, {"target_rank": 2, "prune_interval": 2}).config
    model = wrap(model, config, task)
    ours = RankAllocator(model, config, 40)
    theirs_model = get_peft_model(
        build()[0],
        AdaLoraConfig(
            init_r=3,
            target_r=2,
            tinit=6,
            tfinal=20,
            deltaT=2,
            total_step=40,
            beta1=0.85,
            beta2=0.85,
            target_modules=[layer.name for layer in ours.layers],
            task_type="SEQ_CLS",
        ),
    )
    peft = PeftAllocator(theirs_model.base_model.model, theirs_model.peft_config["default"], "default")
    layers = dict(theirs_model.get_base_model().named_modules())
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 21):
        for layer in ours.layers:
            other = layers[layer.name]
            pairs = [(layer.A, other.lora_A["default"]), (layer.B, other.lora_B["default"])]
            for own, foreign in [*pairs, (layer.c, other.lora_E["default"])]:
                values, gradient = (random_like(own, generator) for _ in range(2))
                with torch.no_grad():
                    own.copy_(values)
                    foreign.copy_(values.reshape(foreign.shape))
                own.grad, foreign.grad = gradient, gradient.reshape(foreign.shape).clone()
        ours.observe_gradients()
        decision = ours.step(step)
        peft.update_ipt(theirs_model.base_model.model)
        naive = torch.stack(
            [
                peft._element_score(f"{name}.lora_E.default").view(-1)
                + peft._element_score(f"{name}.lora_A.default").mean(1)
                + peft._element_score(f"{name}.lora_B.default").mean(0)
                for name in ours.components.names
            ]
        )
        torch.testing.assert_close(ours.scores(), naive, rtol=1e-5, atol=0)
        if decision is not None:
            assert abs(peft.budget_schedule(step)[0] - decision.budget) <= 1
            pattern = peft.mask_to_budget(theirs_model.base_model.model, decision.budget)
            masks = [pattern[f"{name}.lora_E.default"] for name in ours.components.names]
            np.testing.assert_array_equal(ours.mask, np.array(masks))
    assert ours.is_final
    assert ours.live == 24


def test_the_orthogonal_term_is_pefts() -> None:
    model, task = build()
    model = wrap(model, DynamicRankConfig(target_rank=2, init="gaussian"), task)
    naive = []
    for layer in components_of(model).layers:
        for gram in (layer.A @ layer.A.T, layer.B.T @ layer.B):
            naive.append(torch.norm(gram - torch.eye(3, device=DEVICE), p="fro"))
    torch.testing.assert_close(orthogonal_loss(model), torch.stack(naive).mean())
    orthogonal_loss(model).backward()
    assert all(layer.A.grad is not None and layer.A.grad.abs().sum() > 0 for layer in components_of(model).layers)


def test_adalora_adds_its_term_only_in_training(tmp_path: Path) -> None:
    trainer, _, _ = train(tmp_path, "adalora", {"lora_dropout": 0.0})
    inputs = batch() | {"labels": labels()}
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    trainer.model.eval()
    plain = trainer.compute_loss(trainer.model, dict(inputs))
    trainer.model.train()
    expected = plain + 0.5 * orthogonal_loss(trainer.model)
    torch.testing.assert_close(trainer.compute_loss(trainer.model, dict(inputs)), expected)


def test_adalora_without_gradients_is_refused() -> None:
    model, task = build()
    config = made(AdaLora, {"target_rank": 2, "prune_interval": 2}).config
    with pytest.raises(ValueError, match="observe_gradients"):
        RankAllocator(wrap(model, config, task), config, 40).step(1)
