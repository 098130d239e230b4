"""Packed rows have the same loss as padded ones, and models in which they would see each other are rejected."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import BloomConfig, BloomForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from rankscope_worker.child.answers.packing import check_packable, packed
from rankscope_worker.child.answers.token_scores import IGNORED
from rankscope_worker.child.loading.file_errors import UnusableModel


def llama() -> nn.Module:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            use_cache=False,
        )
    )


def gpt2() -> nn.Module:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=64, use_cache=False))


def bloom() -> nn.Module:
    torch.manual_seed(0)
    return BloomForCausalLM(BloomConfig(vocab_size=40, hidden_size=16, n_layer=2, n_head=2, use_cache=False))


def rows(*lengths: int) -> list[dict[str, list[int]]]:
    made = []
    for number, length in enumerate(lengths):
        ids = [3 + (7 * number + 5 * at) % 37 for at in range(length)]
        made.append({"input_ids": ids, "labels": [IGNORED] * (length // 2) + ids[length // 2 :]})
    return made


def padded(some: list[dict[str, list[int]]]) -> dict[str, Any]:
    width = max(len(row["input_ids"]) for row in some)
    fill = {"input_ids": 0, "labels": IGNORED}
    batch = {name: [row[name] + [fill[name]] * (width - len(row[name])) for row in some] for name in fill}
    mask = [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in some]
    return {name: torch.tensor(values) for name, values in (batch | {"attention_mask": mask}).items()}


@pytest.mark.parametrize("model", [llama, gpt2])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_rows_have_the_loss_and_the_gradients_of_padded_ones(model: Any, attention: str) -> None:
    some = rows(5, 9, 2, 12, 7, 3)
    found = []
    for batch in (padded(some), packed(some, 16, 0)):
        made = model().eval()
        made.set_attn_implementation(attention)
        check_packable(made)
        loss = made(**batch).loss
        loss.backward()
        found.append((loss, [parameter.grad for parameter in made.parameters()]))
    (expected, gradients), (loss, others) = found
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(others, gradients)


def test_rows_fill_sequences_in_a_fixed_order_and_padding_is_a_row_of_its_own() -> None:
    batch = packed(rows(5, 9, 2, 12, 7, 3), 16, 0)
    assert batch["input_ids"].shape == (3, 16)
    lengths = [[12, 3], [9, 7], [5, 2]]
    for positions, labels, expected in zip(batch["position_ids"], batch["labels"], lengths, strict=True):
        starts = [at for at, position in enumerate(positions.tolist()) if position == 0]
        assert starts[: len(expected)] == [sum(expected[:number]) for number in range(len(expected))]
        assert all(labels[at] == IGNORED for at in starts)
    assert (batch["labels"] != IGNORED).sum() == sum(-(-length // 2) for length in (5, 9, 2, 12, 7, 3))
    assert packed(rows(20), 16, 0)["input_ids"].shape == (1, 20)


def test_a_model_whose_packed_rows_see_each_other_is_refused() -> None:
    with pytest.raises(UnusableModel, match=r"takes no position_ids.*Set task\.pack to false"):
        check_packable(bloom())

    class Sharing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = llama()

        def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor | None = None) -> Any:
            return self.inner(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), position_ids=position_ids)

    with pytest.raises(UnusableModel, match="see each other"):
        check_packable(Sharing())
