"""The other methods: each trains, reports ranks, counts parameters, exports, and follows its paper."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from peft import AdaLoraConfig, EvaConfig, LoraConfig, PeftModel, get_peft_model
from peft.tuners.adalora.layer import RankAllocator as PeftAllocator
from peft.tuners.lora import initialize_lora_eva_weights
from safetensors.torch import load_file
from transformers import Trainer

from dynamic_rank import DynamicRankConfig, RankAllocator, create_method, make_trainer_class, orthogonal_loss, wrap
from dynamic_rank.adapter.components import components_of
from dynamic_rank.adapter.lora_pair import LoraPair
from dynamic_rank.allocation.snapshot import Snapshot
from dynamic_rank.methods.adalora import AdaLora
from dynamic_rank.methods.control import Control
from dynamic_rank.methods.eva import Eva
from dynamic_rank.methods.lora_shrink import LoraShrink, singular_directions
from dynamic_rank.methods.protocol import Stopped
from dynamic_rank.methods.sora import Sora
from tests.dynamic_rank.tiny_models import DEVICE, Rows, arguments, batch, build, labels, logits, random_like
from tests.wide import wide

PATTERN = {
    "bert.encoder.layer.0.attention.self.query": 3,
    "bert.encoder.layer.0.attention.self.key": 1,
    "bert.encoder.layer.0.output.dense": 0,
    "bert.encoder.layer.1.attention.self.value": 2,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "dynamic_rank": {"target_rank": 2, "prune_interval": 2},
    "lora": {"rank": 2},
    "adalora": {"target_rank": 2, "prune_interval": 2},
    "eva": {"rank": 2},
    "lora_shrink": {"target_rank": 2, "allocation": "global"},
    "sora": {"rank": 3, "sparse_lambda": 5.0},
    "control": {"rank_pattern": PATTERN},
    "gradient": {"rank": 2, "least_rank": 0, "batches": 2},
    "spectrum": {"rank": 2},
}


Made = TypeVar("Made", AdaLora, Control, Eva, LoraShrink, Sora)


def made(kind: type[Made], options: dict[str, Any]) -> Made:
    method = create_method(kind.key, options)
    assert isinstance(method, kind)
    return method


def train(
    folder: Path,
    key: str,
    options: dict[str, Any] | None = None,
    kind: str = "bert",
    on_snapshot: Callable[[Snapshot], None] | None = None,
    **changes: Any,
) -> Any:
    model, task = build(kind)
    method = create_method(key, OPTIONS[key] | (options or {}))
    model = method.prepare(model, task)
    warned: list[str] = []
    trainer = make_trainer_class(Trainer)(
        model=model,
        args=arguments(folder, **changes),
        method=method,
        train_dataset=Rows(),
        callbacks=method.callbacks(on_snapshot, 1, lambda code, _: warned.append(code)),
    )
    trainer.train()
    return trainer, method, warned


@pytest.mark.parametrize("key", OPTIONS)
def test_every_method_reports_ranks_counts_parameters_and_exports_a_plain_lora(tmp_path: Path, key: str) -> None:
    snapshots: list[Snapshot] = []
    trainer, method, warned = train(tmp_path, key, on_snapshot=snapshots.append)
    assert not warned
    assert method.is_settled
    assert [s.step for s in snapshots] == list(range(21))
    last, modules = snapshots[-1], method.modules()
    assert last.is_final
    assert {s.mask.shape for s in snapshots} == {(len(modules), last.width)}
    assert last.live == last.mask.sum()
    assert np.isfinite(last.scores).all()
    assert (last.scores[last.mask] > 0).any()

    expected = logits(trainer.model, batch())
    method.export(tmp_path / "adapter", "compact")
    loaded = PeftModel.from_pretrained(build()[0], tmp_path / "adapter")
    torch.testing.assert_close(logits(loaded, batch()), expected, rtol=1e-6, atol=1e-6)
    assert not torch.equal(expected, logits(build()[0], batch()))
    assert json.loads((tmp_path / "adapter" / "rank_pattern.json").read_text()) == {
        module.name: rank for module, rank in zip(modules, last.ranks, strict=True)
    }
    tensors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    lora = sum(tensor.numel() for name, tensor in tensors.items() if "lora_" in name)
    assert method.kept_parameters().adapter == lora
    assert method.kept_parameters().head == sum(t.numel() for n, t in tensors.items() if "lora_" not in n)
    assert method.trained_parameters().adapter >= lora


@pytest.mark.parametrize(
    ("key", "kind"),
    # Each method with a decoder and an encoder-decoder.
    [
        *product(["adalora", "sora"], ["llama", "bart"]),
        *product(["lora", "lora_shrink"], ["gpt2", "t5"]),
        *wide(*product(["adalora", "sora"], ["gpt2", "t5"]), *product(["lora", "lora_shrink"], ["llama", "bart"])),
    ],
)
def test_every_method_supports_decoders_and_encoder_decoders(tmp_path: Path, key: str, kind: str) -> None:
    model, task = build(kind)
    method = create_method(key, OPTIONS[key])
    model = method.prepare(model, task)
    before = logits(build(kind)[0], batch(kind))
    assert torch.equal(logits(model, batch(kind)), before)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(random_like(parameter, generator) * 0.3)
    expected = logits(model, batch(kind))
    method.export(tmp_path, "compact")
    loaded = PeftModel.from_pretrained(build(kind)[0], tmp_path)
    torch.testing.assert_close(logits(loaded, batch(kind)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("key", ["adalora", "lora_shrink", "sora"])
def test_a_trainer_without_the_methods_callback_is_refused(tmp_path: Path, key: str) -> None:
    model, task = build()
    method = create_method(key, OPTIONS[key])
    trainer = make_trainer_class(Trainer)(
        model=method.prepare(model, task), args=arguments(tmp_path), method=method, train_dataset=Rows()
    )
    with pytest.raises(RuntimeError, match=r"callbacks=method.callbacks"):
        trainer.train()


# ---------------------------------------------------------------- adalora


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


# ---------------------------------------------------------------- eva


def test_eva_assigns_the_same_ranks_as_peft(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    _, method, _ = train(tmp_path, "eva", on_snapshot=snapshots.append, max_steps=2)
    batches = [batch(seed=seed, size=8) for seed in range(8)]
    again = made(Eva, {"rank": 3})
    again.prepare(*build())
    again.initialize(batches)
    names = [module.name for module in again.modules()]
    theirs = get_peft_model(
        build()[0],
        LoraConfig(
            r=3,
            lora_alpha=8,
            target_modules=names,
            init_lora_weights="eva",
            eva_config=EvaConfig(use_label_mask=False),
            task_type="SEQ_CLS",
        ),
        low_cpu_mem_usage=True,
    )
    initialize_lora_eva_weights(theirs, batches, show_progress_bar=False)
    layers = dict(theirs.get_base_model().named_modules())
    for pair in again.pairs:
        layer = layers[pair.name]
        if pair.rank == 0:
            assert not hasattr(layer, "lora_A")
            continue
        torch.testing.assert_close(pair.A, layer.lora_A["default"].weight)
        assert pair.scaling == layer.scaling["default"] == 8 / 3
    assert len({pair.rank for pair in again.pairs}) > 1
    assert sum(pair.rank for pair in again.pairs) == 36
    assert snapshots[0].ranks == snapshots[-1].ranks == [pair.rank for pair in method.pairs]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rank": 12}, r"up to 24 components, but \S+ has only 16 inputs"),
        ({"rank": 6}, "up to 12 components, but the largest batch has only 7 tokens"),
    ],
)
def test_eva_refuses_batches_on_which_peft_would_loop_forever(
    options: dict[str, Any], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, task = build()
    method = made(Eva, options)

    def begin() -> None:
        method.prepare(model, task)
        method.initialize([batch(size=1), batch(seed=2, size=1)])

    with pytest.raises(ValueError, match=why):
        begin()
    assert "skipping" not in capsys.readouterr().out


def test_eva_fails_if_its_directions_never_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamic_rank.methods.eva.MOST_BATCHES", 7)
    model, task = build()
    method = made(Eva, {"rank": 2, "tau": 0.999999999})
    method.prepare(model, task)
    with pytest.raises(ValueError, match=r"have not converged after 7 batches; lower tau=1"):
        method.initialize([batch(seed=seed) for seed in range(3)])


def test_eva_stops_between_two_batches_on_request() -> None:
    model, task = build()
    method = made(Eva, {"rank": 2, "tau": 0.999999999})
    method.prepare(model, task)
    asked: list[None] = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > 20

    method.should_stop = should_stop
    with pytest.raises(Stopped):
        method.initialize([batch(seed=seed) for seed in range(3)])
    assert len(asked) == 21


def test_eva_skips_small_batches_silently(capsys: pytest.CaptureFixture[str]) -> None:
    model, task = build()
    method = made(Eva, {"rank": 4})
    method.prepare(model, task)
    method.initialize([batch(size=1), batch(seed=2, size=4), batch(seed=3, size=4)])
    assert method.is_initialized
    assert capsys.readouterr().out == ""


def test_eva_in_a_plain_trainer_without_initialize_is_refused(tmp_path: Path) -> None:
    method = made(Eva, {"rank": 2})
    model = method.prepare(*build())
    trainer = Trainer(model=model, args=arguments(tmp_path), train_dataset=Rows(), callbacks=method.callbacks())
    with pytest.raises(RuntimeError, match="not assigned"):
        trainer.train()


# ---------------------------------------------------------------- lora_shrink


def random_pairs(method: Any) -> Any:
    generator = torch.Generator().manual_seed(2)
    for pair in method.pairs:
        scale = torch.rand((), generator=generator) + 0.1
        pair.replace(random_like(pair.A, generator) * scale.to(DEVICE), random_like(pair.B, generator))
    return {pair.name: (pair.scaling * pair.B @ pair.A).detach() for pair in method.pairs}


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_shrinking_keeps_the_strongest_singular_directions(allocation: str) -> None:
    method = made(LoraShrink, {"target_rank": 2, "initial_rank": 4, "allocation": allocation})
    method.prepare(*build())
    updates = random_pairs(method)
    decision = method.shrink(7)
    strengths = torch.stack([torch.linalg.svdvals(update)[:4] for update in updates.values()])
    if allocation == "uniform":
        expected = [2] * 12
    else:
        threshold = strengths.flatten().sort(descending=True).values[23]
        expected = (strengths >= threshold).sum(1).tolist()
        assert len(set(expected)) > 1
    assert [pair.rank for pair in method.pairs] == expected
    assert decision.live == decision.budget == 24
    assert len(decision.pruned) == 24
    assert decision.is_final
    for pair in method.pairs:
        # No matrix of this rank is closer (Eckart and Young). Compares the distance and not the matrix itself, whose
        # directions change with rounding if two singular values are close.
        discarded = torch.linalg.svdvals(updates[pair.name].double())[pair.rank :]
        distance = torch.linalg.matrix_norm(updates[pair.name] - (pair.scaling * pair.B @ pair.A).detach())
        torch.testing.assert_close(distance.double(), torch.linalg.vector_norm(discarded), rtol=1e-4, atol=5e-5)


def test_singular_directions_reproduce_the_update() -> None:
    method = made(LoraShrink, {"target_rank": 1})
    method.prepare(*build())
    updates = random_pairs(method)
    for pair in method.pairs:
        U, s, Vh = singular_directions(LoraPair(pair.name, pair.lora))
        torch.testing.assert_close(U @ torch.diag(s) @ Vh, updates[pair.name], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(s, torch.linalg.svdvals(updates[pair.name])[:4], rtol=1e-4, atol=1e-5)


def test_small_singular_values_next_to_large_ones_are_exact() -> None:
    method = made(LoraShrink, {"target_rank": 1})
    method.prepare(*build())
    random_pairs(method)
    pair = method.pairs[0]
    mixed = torch.randn(4, 4, generator=torch.Generator().manual_seed(3)) * torch.tensor([1e3, 1.0, 1.0, 1e-2])[:, None]
    pair.replace(pair.A.detach()[:4], pair.B.detach()[:, :4] @ mixed.to(pair.B.device))
    _, s, _ = singular_directions(pair)
    exact = torch.linalg.svdvals(pair.scaling * pair.B.double() @ pair.A.double())[:4]
    torch.testing.assert_close(s.double(), exact, rtol=1e-5, atol=0)  # float32: off by 7e-4


def test_shrinking_happens_after_the_given_step_and_training_continues(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    trainer, method, _ = train(tmp_path, "lora_shrink", {"shrink_at_ratio": 0.6}, on_snapshot=snapshots.append)
    assert [s.step for s in snapshots if s.is_pruning_step] == [12]
    assert {s.live for s in snapshots if s.step < 12} == {12 * 8}
    assert {s.live for s in snapshots if s.step >= 12} == {24}
    pair = next(pair for pair in method.pairs if pair.rank)
    assert trainer.optimizer.state[pair.A]["exp_avg"].shape == pair.A.shape
    assert trainer.optimizer.state[pair.A]["step"] == 8


def test_initial_rank_above_the_size_of_a_module_is_refused() -> None:
    with pytest.raises(ValueError, match="initial_rank=32 is larger than"):
        made(LoraShrink, {"target_rank": 8}).prepare(*build())


# ---------------------------------------------------------------- sora


def test_the_gates_take_the_proximal_step(tmp_path: Path) -> None:
    method = made(Sora, {"rank": 3, "sparse_lambda": 5.0})
    method.prepare(*build())
    before = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    with torch.no_grad():
        for layer, row in zip(components_of(method._wrapped).layers, before, strict=True):
            layer.c.copy_(row)
    method.close_gates(0.1)
    naive = before.sign() * (before.abs() - 0.5).clamp(min=0)
    torch.testing.assert_close(method.gates(), naive)


def test_gates_close_during_training_and_the_last_snapshot_lists_them(tmp_path: Path) -> None:
    snapshots: list[Snapshot] = []
    _, method, _ = train(tmp_path, "sora", on_snapshot=snapshots.append)
    assert snapshots[0].live == 36
    assert snapshots[-1].live < 36
    decision = snapshots[-1].decision
    assert decision is not None
    assert len(decision.pruned) == 36 - snapshots[-1].live
    assert sum(method.live_ranks().values()) == snapshots[-1].live


def test_gates_that_never_close_cause_a_warning(tmp_path: Path) -> None:
    _, _, warned = train(tmp_path, "sora", {"sparse_lambda": 1e-6})
    assert warned == ["ranks_equal"]


# ---------------------------------------------------------------- control


def test_control_has_the_ranks_of_the_pattern_and_the_scale_of_the_mean_rank() -> None:
    method = made(Control, {"rank_pattern": PATTERN, "lora_alpha": 6})
    model = method.prepare(*build())
    assert {pair.name: pair.rank for pair in method.pairs} == PATTERN
    assert {pair.scaling for pair in method.pairs} == {6 / 2}  # (3 + 1 + 0 + 2) / 4, rounded half to even
    assert torch.equal(logits(model, batch()), logits(build()[0], batch()))
    assert method.trained_parameters().adapter == 3 * 32 + 32 + 2 * 32


def test_control_of_a_finished_run_has_its_kept_parameters(tmp_path: Path) -> None:
    _, first, _ = train(tmp_path, "dynamic_rank")
    first.export(tmp_path / "adapter")
    pattern = json.loads((tmp_path / "adapter" / "rank_pattern.json").read_text())
    control = made(Control, {"rank_pattern": pattern})
    control.prepare(*build())
    assert control.kept_parameters() == first.kept_parameters()


def test_control_for_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rank_pattern names 'decoder\.q', which is not a linear module"):
        made(Control, {"rank_pattern": {"decoder.q": 2}}).prepare(*build())
