"""The fused forward pass computes what PEFT's layers compute from the parametrised weights, and so do its gradients."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel
from torch import Tensor, nn

from dynamic_rank import DynamicRankConfig, compact, wrap
from dynamic_rank.adapter.components import components_of
from dynamic_rank.adapter.fused_layer import FusedComponents
from tests.dynamic_rank.tiny_models import DEVICE, batch, build

# logits, and gradients by parameter name
Result = tuple[Tensor, dict[str, Tensor]]


def wrapped(kind: str = "bert", dtype: torch.dtype = torch.float64, **options: Any) -> PeftModel:
    """A wrapped model with random components, one of them pruned, that computes in `dtype`."""
    model, task = build(kind)
    config = DynamicRankConfig(**{"target_rank": 2, "lora_dropout": 0.1, **options})
    model = wrap(model, config, task).to(dtype)
    torch.manual_seed(1)
    with torch.no_grad():
        for layer in components_of(model).layers:
            for parameter, _ in layer.resized():
                parameter.normal_(std=0.3)
            layer.c[0] = 0
    return model


def step(model: PeftModel, seed: int = 0) -> Result:
    model.train()
    model.zero_grad()
    torch.manual_seed(seed)
    logits = model(**batch()).logits
    logits.double().square().mean().backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    return logits.detach(), gradients


def without_fusion(model: PeftModel) -> PeftModel:
    for layer in components_of(model).layers:
        layer.lora.lora_variant.clear()
    return model


def assert_equal(fused: Result, plain: Result, tolerance: float) -> None:
    torch.testing.assert_close(fused[0], plain[0], rtol=tolerance, atol=tolerance)
    assert fused[1].keys() == plain[1].keys()
    for name, gradient in plain[1].items():
        limit = max(tolerance * float(gradient.abs().max()), 1e-12)
        torch.testing.assert_close(fused[1][name], gradient, rtol=tolerance, atol=limit, msg=name)


def with_hooks(model: PeftModel) -> list[str]:
    called: list[str] = []
    for layer in components_of(model).layers:
        layer.lora.base_layer.register_full_backward_hook(lambda *_, name=layer.name: called.append(name))
    return called


def with_trained_base(model: PeftModel) -> list[str]:
    for layer in components_of(model).layers:
        layer.lora.base_layer.requires_grad_(True)
    return []


def with_two_adapters(model: PeftModel) -> list[str]:
    targets = [layer.name for layer in components_of(model).layers]
    model.add_adapter("other", LoraConfig(r=2, target_modules=targets, init_lora_weights=False, lora_dropout=0.1))
    for layer in components_of(model).layers:
        layer.lora.set_adapter(["default", "other"])
    model.to(torch.float64)
    return []


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])  # gpt2: Conv1D, llama: linears without bias
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_fused_layer_equals_the_layers_of_peft(kind: str, dropout: float) -> None:
    model = wrapped(kind, lora_dropout=dropout)
    assert all(isinstance(layer.lora.lora_variant["default"], FusedComponents) for layer in components_of(model).layers)
    assert_equal(step(model), step(without_fusion(model)), 1e-10)


def test_without_the_interface_of_peft_its_layers_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = step(wrapped())
    monkeypatch.setattr("dynamic_rank.adapter.fused_layer.LoraVariant", None)
    plain = wrapped()
    assert all(not layer.lora.lora_variant for layer in components_of(plain).layers)
    assert_equal(fused, step(plain), 1e-10)


@pytest.mark.parametrize("change", [with_hooks, with_trained_base, with_two_adapters])
@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")
def test_fused_layer_leaves_the_backward_pass_of_other_base_layers_alone(change: Any) -> None:
    model = wrapped()
    called = change(model)
    fused = step(model)
    calls = called.copy()
    called.clear()
    assert_equal(fused, step(without_fusion(model)), 1e-10)
    assert calls == called
    assert bool(calls) == (change is with_hooks)


def test_fused_layer_needs_no_gradient_of_frozen_tensors() -> None:
    model = wrapped()
    for layer in components_of(model).layers[::2]:
        layer.A.requires_grad_(False)
        layer.B.requires_grad_(False)
        layer.c.requires_grad_(False)
    assert_equal(step(model), step(without_fusion(model)), 1e-10)


@pytest.mark.parametrize("form", ["autocast", "bf16 base", "bf16"])
def test_fused_layer_computes_in_low_precision_as_peft_does(form: str) -> None:
    def once(model: PeftModel) -> Result:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=form == "autocast"):
            return step(model)

    model = wrapped(dtype=torch.bfloat16 if form == "bf16" else torch.float32, lora_dropout=0.0)
    if form == "bf16 base":
        for layer in components_of(model).layers:
            layer.lora.base_layer.to(torch.bfloat16)
            for parameter, _ in layer.resized():
                assert parameter.dtype == torch.float32
        model.get_submodule("base_model.model.bert.embeddings").to(torch.bfloat16)
        for name, module in model.named_modules():
            if isinstance(module, nn.LayerNorm) or "pooler" in name or "classifier" in name:
                module.to(torch.bfloat16)
    fused = once(model)
    plain = once(without_fusion(model))
    assert {name: g.dtype for name, g in fused[1].items()} == {name: g.dtype for name, g in plain[1].items()}
    torch.testing.assert_close(fused[0], plain[0], rtol=0.05, atol=0.05)
    ours, theirs = (torch.cat([g.flatten().float() for g in result[1].values()]) for result in (fused, plain))
    assert torch.cosine_similarity(ours, theirs, dim=0) > 0.999


def test_a_layer_that_leaves_autocast_computes_in_its_own_precision() -> None:
    model = wrapped(dtype=torch.float32, lora_dropout=0.0)
    layer = components_of(model).layers[-1]
    forward = layer.lora.forward
    seen: list[tuple[Tensor, Tensor]] = []

    def without_autocast(x: Tensor) -> Tensor:
        with torch.autocast(DEVICE, enabled=False):
            seen.append((x.float(), forward(x.float())))
        return seen[-1][1]

    layer.lora.forward = without_autocast
    with torch.autocast(DEVICE, torch.bfloat16):
        step(model)
    x, result = seen[0]
    expected = layer.lora.base_layer(x) + layer.scaling * x @ layer.A.T @ torch.diag(layer.c) @ layer.B.T
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)
    assert layer.A.grad is not None
    assert layer.B.grad is not None


def test_fused_layer_gives_the_gradients_of_finite_differences() -> None:
    model = wrapped(lora_dropout=0.0)
    layer = components_of(model).layers[0]
    x = torch.randn(3, 5, layer.lora.in_features, dtype=torch.float64, device=DEVICE, requires_grad=True)
    tensors = [layer.A, layer.c, layer.B]

    def function(x: Tensor, *_: Tensor) -> Tensor:
        result: Tensor = layer.lora(x)
        return result

    assert torch.autograd.gradcheck(function, (x, *tensors))


@pytest.mark.parametrize(("reentrant", "autocast"), [(False, False), (True, False), (False, True)])
def test_activation_checkpointing_changes_no_gradient(reentrant: bool, autocast: bool) -> None:
    model = wrapped(dtype=torch.float32 if autocast else torch.float64)
    with torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
        expected = step(model)
        model.activation_checkpointing_enable({"use_reentrant": reentrant})
        model.enable_input_require_grads()
        assert_equal(step(model), expected, 1e-12)


def test_two_forward_passes_before_one_backward_pass_add_their_gradients() -> None:
    def twice(model: PeftModel) -> Result:
        model.eval()
        model.zero_grad()
        outputs = [model(**batch(seed=seed)).logits for seed in (1, 2)]
        sum(logits.square().mean() for logits in outputs).backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad and p.grad is not None}
        return torch.cat(outputs).detach(), gradients

    model = wrapped()
    assert_equal(twice(model), twice(without_fusion(model)), 1e-10)


def test_nothing_that_a_forward_pass_has_computed_outlives_it() -> None:
    model = wrapped()
    model.eval()
    model(**batch())
    with pytest.raises(ValueError, match="input_ids"):
        model()
    layer = components_of(model).layers[0]
    x = torch.randn(3, layer.lora.in_features, dtype=torch.float64, device=DEVICE)
    # As an optimizer may do it: a write to .data that doesn't change the tensor's version.
    layer.A.data.mul_(2)
    layer.c.data.add_(1)
    expected = layer.lora.base_layer(x) + layer.scaling * x @ layer.A.T @ torch.diag(layer.c) @ layer.B.T
    torch.testing.assert_close(layer.lora(x), expected)


def test_transforms_of_torch_func_give_the_same_gradients() -> None:
    model = wrapped(lora_dropout=0.0)
    model.eval()
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        logits: Tensor = torch.func.functional_call(model, parameters, kwargs=batch()).logits
        return logits.square().mean()

    transformed = torch.func.grad(loss)(parameters)
    model(**batch()).logits.square().mean().backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(transformed[name], parameter.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")
def test_weighted_sums_of_adapters_include_the_scales(is_compacted: bool) -> None:
    model = wrapped("llama", dtype=torch.float32)
    layers = components_of(model).layers
    if is_compacted:
        with torch.no_grad():
            layers[1].c.zero_()
        compact(model, [(layer.c != 0).tolist() for layer in layers])
        assert layers[1].kept == []
    targets = [layer.name for layer in layers]
    model.add_adapter("other", LoraConfig(r=3, target_modules=targets, init_lora_weights=False))
    model.add_weighted_adapter(["default", "other"], [0.7, 0.4], "mixed", combination_type="cat")
    for layer in layers:
        update = layer.scaling * layer.B @ torch.diag(layer.c) @ layer.A
        expected = 0.7 * update + 0.4 * layer.lora.get_delta_weight("other")
        torch.testing.assert_close(layer.lora.get_delta_weight("mixed"), expected, rtol=1e-5, atol=1e-6)
    model.set_adapter("mixed")
    mixed = model(**batch("llama")).logits
    model.set_adapter("default")
    assert not torch.equal(model(**batch("llama")).logits, mixed)
