"""Ranks that are assigned before training: exact budgets, scores equal to a naive computation, and what is refused."""

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Trainer

from dynamic_rank import create_method
from dynamic_rank.methods.assigned import AssignedRanks
from dynamic_rank.methods.gradient import _WeightGradients
from dynamic_rank.methods.protocol import RunContext, Stopped
from dynamic_rank.methods.spectrum import base_weight
from dynamic_rank.schedule.largest_remainder import assign_ranks
from tests.dynamic_rank.tiny_models import Rows, arguments, batch, build, labels


def made(key: str, options: dict[str, Any], kind: str = "bert") -> tuple[AssignedRanks, nn.Module]:
    model, task = build(kind)
    method = create_method(key, options)
    assert isinstance(method, AssignedRanks)
    return method, method.prepare(model, task)


def labelled(kind: str = "bert", n: int = 2) -> list[dict[str, Tensor]]:
    found = [batch(kind, seed) for seed in range(n)]
    return [one | {"labels": labels() if kind == "bert" else one["input_ids"]} for one in found]


# ---------------------------------------------------------------- ranks from scores


def test_equal_costs_give_the_classic_largest_remainder() -> None:
    # Quotas 4.7, 3.1 and 2.2 of 10 seats: whole parts 4, 3 and 2, and the last one to the largest remainder.
    assert assign_ranks([47, 31, 22], [5] * 3, 50, least=0, most=[10] * 3) == [5, 3, 2]


def test_the_budget_is_used_up_to_less_than_a_component_within_the_limits() -> None:
    dice = random.Random(0)
    for _ in range(300):
        n = dice.randrange(1, 12)
        costs = [dice.choice([16, 32, 40, 100]) for _ in range(n)]
        rank, least = dice.randrange(1, 9), dice.randrange(0, 2)
        most = [dice.randrange(rank, 5 * rank) for _ in range(n)]
        scores = [dice.choice([0.0, dice.random(), 10 ** dice.uniform(-9, 3)]) for _ in range(n)]
        ranks = assign_ranks(scores, costs, rank * sum(costs), least=least, most=most)
        left = rank * sum(costs) - sum(r * c for r, c in zip(ranks, costs, strict=True))
        open_costs = [cost for r, cost, top in zip(ranks, costs, most, strict=True) if r < top]
        assert 0 <= left < min(open_costs, default=math.inf)
        spare = [cost for r, cost in zip(ranks, costs, strict=True) if r > least]
        assert not any(0 < more - less <= left for more in open_costs for less in spare)
        assert all(least <= r <= top for r, top in zip(ranks, most, strict=True))
        # A module of the same cost and limit never gets more for a lower score.
        for i in range(n):
            for j in range(n):
                if scores[i] > scores[j] and costs[i] == costs[j] and most[i] >= most[j]:
                    assert ranks[i] >= ranks[j]


def test_equal_scores_give_every_module_the_mean_rank() -> None:
    for scores in ([0.0] * 3, [2.5] * 3):
        assert assign_ranks(scores, [16, 40, 100], 4 * 156, least=1, most=[16] * 3) == [4, 4, 4]


@pytest.mark.parametrize(
    ("scores", "least", "words"),
    [([1.0, math.nan], 0, "Score 1 is nan"), ([-1.0, 1.0], 0, "Score 0 is -1"), ([1.0, 1.0], 3, "the budget is 40")],
)
def test_scores_and_limits_that_cannot_work_are_refused(scores: list[float], least: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        assign_ranks(scores, [10, 10], 40, least=least, most=[8, 8])


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_gradient_scores_are_the_mean_squares_of_the_weights_gradients(kind: str) -> None:
    method, model = made("gradient", {"rank": 2, "batches": 2, "lora_dropout": 0.5}, kind)
    before = [p.detach().clone() for p in model.parameters()]
    found = method.score_modules(_Batches(labelled(kind, 3)))
    naive = torch.zeros(len(method.pairs))
    model.eval()
    weights = [pair.lora.get_base_layer().weight.requires_grad_(True) for pair in method.pairs]
    for one in labelled(kind):
        gradients = torch.autograd.grad(model(**one).loss, weights)
        naive += torch.stack([gradient.square().mean() for gradient in gradients]) / 2
    torch.testing.assert_close(torch.tensor(found), naive)
    for weight in weights:
        weight.requires_grad_(False)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_adapter_scores_are_the_norms_of_the_mean_gradients_of_b() -> None:
    method, model = made("gradient", {"rank": 2, "batches": 2, "gradient_of": "adapter", "lora_dropout": 0.0})
    found = method.score_modules(_Batches(labelled()))
    model.eval()
    loss = sum(model(**one).loss for one in labelled()) / 2
    gradients = torch.autograd.grad(loss, [pair.B for pair in method.pairs])
    torch.testing.assert_close(torch.tensor(found), torch.stack([gradient.norm() for gradient in gradients]))


def test_a_layer_that_runs_twice_has_the_gradient_of_both_runs() -> None:
    torch.manual_seed(0)
    layer = _Layer(3, 3)
    squares = _WeightGradients([layer])
    x = torch.randn(5, 3)
    loss = layer(torch.tanh(layer(x))).square().sum()
    loss.backward()
    squares.end_batch()
    assert layer.weight.grad is not None
    torch.testing.assert_close(squares.total[0], layer.weight.grad.square().mean())


class _Layer(nn.Linear):
    def get_base_layer(self) -> nn.Linear:
        return self


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_spectrum_scores_are_those_of_the_singular_values(kind: str) -> None:
    entropy, _ = made("spectrum", {"rank": 2}, kind)
    stable, _ = made("spectrum", {"rank": 2, "spectral_score": "stable_rank"}, kind)
    effective = entropy.score_modules(_Batches([]))
    flat = stable.score_modules(_Batches([]))
    for at, pair in enumerate(entropy.pairs):
        layer = pair.lora.get_base_layer()
        W = layer.weight.double() if kind == "gpt2" else layer.weight.double().T  # Conv1D keeps (in, out)
        torch.testing.assert_close(base_weight(pair.lora, pair.A).double(), W, rtol=1e-5, atol=1e-7)
        values = torch.linalg.svdvals(W)
        p = values / values.sum()
        assert effective[at] == pytest.approx(float(torch.exp(-(p * p.log()).sum())), rel=1e-4)
        assert flat[at] == pytest.approx(float((W.norm() / values[0]) ** 2), rel=1e-4)


# ---------------------------------------------------------------- the method


def test_modules_with_the_larger_scores_get_more_within_the_parameters_of_a_lora(tmp_path: Path) -> None:
    model, task = build()
    method = create_method("gradient", {"rank": 4, "least_rank": 1, "largest_rank": 9})
    assert isinstance(method, AssignedRanks)
    method.prepare(model, task)
    method.initialize(_Batches(labelled(n=8)))
    lora = create_method("lora", {"rank": 4})
    lora.prepare(*build())
    costs = [pair.cost for pair in method.pairs]
    left = lora.kept_parameters().adapter - method.kept_parameters().adapter
    assert 0 <= left < min(cost for pair, cost in zip(method.pairs, costs, strict=True) if pair.rank < 9)
    ranks = [pair.rank for pair in method.pairs]
    assert (min(ranks), max(ranks)) >= (1, 8)
    assert {pair.scaling for pair in method.pairs} == {2.0}  # alpha 8 / rank 4, as in that LoRA
    by_score = sorted(zip(method.scores, costs, (pair.rank for pair in method.pairs), strict=True))
    assert [rank for _, cost, rank in by_score if cost == 32] == sorted(
        rank for _, cost, rank in by_score if cost == 32
    )


def test_a_plain_trainer_without_initialize_is_refused(tmp_path: Path) -> None:
    method, model = made("gradient", {"rank": 2})
    trainer = Trainer(
        model=model, args=arguments(tmp_path), train_dataset=Rows(), callbacks=method.callbacks(lambda _: None)
    )
    with pytest.raises(RuntimeError, match="The ranks of gradient are not assigned"):
        trainer.train()


def test_it_stops_on_request_and_refuses_batches_without_a_gradient() -> None:
    method, _ = made("gradient", {"rank": 2})
    method.set_context(RunContext(should_stop=lambda: True))
    with pytest.raises(Stopped):
        method.initialize(_Batches(labelled()))
    method.set_context(RunContext())
    with pytest.raises(ValueError, match="no labels"):
        method.initialize(_Batches([batch()]))
    with pytest.raises(ValueError, match="no batches"):
        method.initialize(_Batches([]))
    with torch.no_grad():
        method.pairs[0].lora.get_base_layer().weight.fill_(math.nan)
    with pytest.raises(ValueError, match=r"The score of bert\.\S+ is nan"):
        method.initialize(_Batches(labelled()))


@pytest.mark.parametrize(
    ("key", "options", "words"),
    [
        ("gradient", {"gradient_of": "fisher"}, "gradient_of='fisher' is unknown"),
        ("gradient", {"batches": 0}, "batches=0 must be"),
        ("spectrum", {"rank": 2, "least_rank": 3}, "least_rank=3 is above rank=2"),
        ("spectrum", {"rank": 4, "largest_rank": 3}, "largest_rank=3 is below rank=4"),
    ],
)
def test_wrong_options_are_refused(key: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create_method(key, options)


class _Batches:
    def __init__(self, batches: list[dict[str, Tensor]]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return iter(self._batches)
