"""The curve that the server plans equals that of a real allocator that is steered in the same way."""

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as some
from transformers import BertConfig, BertForSequenceClassification

from dynamic_rank import RankAllocator, create_method
from dynamic_rank.methods.dynamic_rank import DynamicRank
from rankscope.contract.config import RunConfig, Steering
from rankscope.launch.plan import planned_curve
from rankscope_worker.child.training import method_options

STEPS = 40
WIDTH = 6
BERT: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 16,
}

acts = some.builds(
    lambda step, action, target: Steering(step=step, action=action, target_rank=target if action == "target" else None),
    step=some.integers(1, STEPS),
    action=some.sampled_from(["hold", "release", "target", "freeze"]),
    target=some.integers(1, WIDTH),
)


def realised(config: RunConfig) -> list[tuple[int, int]]:
    """(step, live components) of every pruning of an allocator whose factors get random gradients."""
    torch.manual_seed(0)
    method = create_method(config.method.name, method_options(config))
    assert isinstance(method, DynamicRank)
    model = method.prepare(BertForSequenceClassification(BertConfig(**BERT)), "SEQ_CLS")
    allocator = RankAllocator(model, method.config, STEPS)
    prunings = []
    for step in range(1, STEPS + 1):
        for parameter in (p for layer in allocator.layers for p, _ in layer.resized()):
            parameter.grad = torch.randn_like(parameter)
        allocator.observe_gradients()
        for act in (act for act in config.steering if act.step == step and not allocator.is_final):
            match act.action:
                case "hold":
                    allocator.hold()
                case "release":
                    allocator.release()
                case "freeze":
                    allocator.freeze()
                case "target":
                    allocator.set_target(act.target_rank or 0)
        if (decision := allocator.step(step)) is not None:
            assert decision.budget == decision.live
            prunings.append((step, decision.live))
    return prunings


@pytest.mark.parametrize(
    "options",
    [
        {"name": "dynamic_rank"},
        {"name": "dynamic_rank", "schedule": "fast_first", "pruning_phase": "absolute"},
        {"name": "dynamic_rank", "schedule": "linear"},
        {"name": "adalora"},
    ],
)
@example(steering=[Steering(step=9, action="freeze"), Steering(step=9, action="target", target_rank=1)])
@example(
    steering=[
        Steering(step=9, action="freeze"),
        Steering(step=9, action="hold"),
        Steering(step=12, action="target", target_rank=1),
        Steering(step=14, action="release"),
    ]
)
@given(steering=some.lists(acts, max_size=5).map(lambda found: sorted(found, key=lambda act: act.step)))
@settings(max_examples=20)
def test_planned_curve_is_what_a_real_allocator_does(options: dict[str, Any], steering: list[Steering]) -> None:
    config = RunConfig.model_validate(
        {
            "model": {"id": "local:bert"},
            "data": {"id": "local:reviews"},
            "method": {"target_rank": 4, "initial_rank": WIDTH, "prune_interval": 3, "lora_dropout": 0.0} | options,
            "training": {"max_steps": STEPS},
        }
    ).model_copy(update={"steering": steering})
    curve = planned_curve(config, 6, STEPS)
    assert curve.points[1:-1] == realised(config)
    assert (curve.points[0], curve.points[-1][0]) == ((0, 6 * WIDTH), STEPS)
