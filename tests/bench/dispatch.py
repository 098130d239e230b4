"""Operators that a training step dispatches, compared with PEFT's plain LoRA: `make bench-dispatch`.

On a GPU, a step of an adapter is bound by the number of kernels that the host launches, so this count predicts the ratio
of the times. It needs no GPU and has no noise. The models have the depth of the real ones and narrow layers.

A step is a whole optimizer step of the library's Trainer: forward, backward with the DEM term, clip, AdamW, scheduler,
then score, smooth, and possibly prune and report a snapshot. Views and allocations launch nothing and do not count. One
operator on a list of tensors (concatenation, fused optimizer) counts once, although it may launch a few kernels. Each
model is counted in float32, and with autocast to bf16, which adds casts. Dropout counts as on a GPU, where it is one
operator in each direction. Synchronisations are copies to the host, and operators whose result depends on data, which
have to wait for the GPU.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import peft
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from .rows import Rows
from .sides import Base, Side

INITIAL_RANK, TARGET_RANK = 12, 8
WINDOW_LIMIT, PRUNING_LIMIT, FINAL_LIMIT = 1.05, 1.08, 0.97
# Pruning after steps 4 and 8; the second one is final, and compacts.
STEPS, INTERVAL = 16, 4
_ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}
_QUESTIONS = {"is_same_size"}
_WIDTHS: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4, "vocab_size": 200}


class DispatchCount(TorchDispatchMode):
    """Counts operators that launch kernels, and synchronisations, while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: Counter[str] = Counter()
        self.synchronisations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.partition("::")[2]
        if torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags:
            self.synchronisations += 1
        if not func.is_view and name not in _ALLOCATIONS and name not in _QUESTIONS:
            self.operators[name] += 1
        return func(*args, **(kwargs or {}))

    @property
    def total(self) -> int:
        return sum(self.operators.values())


def measure(rows: Rows, names: list[str]) -> None:
    for name in names:
        base = BASES[name]()
        with tempfile.TemporaryDirectory() as folder:
            _measure(rows, name, base, folder, bf16=False)
            _measure(rows, f"{name}, bf16 autocast", base, folder, bf16=True)


def _measure(rows: Rows, name: str, base: Base, folder: str, *, bf16: bool) -> None:
    options = {
        "target_rank": TARGET_RANK,
        "initial_rank": INITIAL_RANK,
        "warmup_ratio": 0.0,
        "prune_end_ratio": 0.5,
        "prune_interval": INTERVAL,
    }
    ours = Side("dynamic_rank", options, base, STEPS, folder, reports=True, snapshot_every=STEPS, bf16=bf16)
    counts = {step: _count(ours) for step in range(1, STEPS - 2)}
    if not ours.allocator.components.is_compacted:
        raise RuntimeError("Nothing was compacted: the schedule of the benchmark is wrong.")
    initial = _lora(base, INITIAL_RANK, folder, bf16=bf16)
    final = _lora(base, TARGET_RANK, folder, bf16=bf16)
    against = f"PEFT LoRA {peft.__version__}, {len(ours.allocator.layers)} modules"
    for figure, count, lora, rank, limit, waits in (
        ("in the window", counts[3], initial, INITIAL_RANK, WINDOW_LIMIT, 0),
        ("with pruning and a snapshot", counts[INTERVAL], initial, INITIAL_RANK, PRUNING_LIMIT, 1),
        ("after the final mask", counts[STEPS - 4], final, TARGET_RANK, FINAL_LIMIT, 0),
    ):
        detail = f"{against}, r {rank}: {count.total} against {lora.total} operators"
        rows.at_most(f"{name}: operators of a step {figure} / LoRA's", count.total / lora.total, limit, "ratio", detail)
        more = count.synchronisations - lora.synchronisations
        rows.at_most(f"{name}: synchronisations of a step {figure}, more than LoRA's", more, waits, "times", against)


def _lora(base: Base, rank: int, folder: str, *, bf16: bool) -> DispatchCount:
    side = Side("lora", {"rank": rank}, base, STEPS, folder, reports=False, bf16=bf16)
    _count(side)
    return _count(side)


def _count(side: Side) -> DispatchCount:
    count = DispatchCount()
    with count, _as_on_a_gpu(count):
        side.step()
    return count


@contextmanager
def _as_on_a_gpu(count: DispatchCount) -> Iterator[None]:
    """Dropout as one operator, as on a GPU; and copies to the host, which don't exist on a CPU, as synchronisations."""

    def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return torch.native_dropout(x, p, True)[0] if training and p > 0 else x

    def torch_dropout(x: Tensor, p: float, train: bool) -> Tensor:
        return dropout(x, p, train)

    copy = Tensor.cpu

    def cpu(tensor: Tensor) -> Tensor:
        count.synchronisations += 1
        return copy(tensor)

    as_one = patch.object(nn.functional, "dropout", dropout), patch.object(torch, "dropout", torch_dropout)
    with as_one[0], as_one[1], patch.object(Tensor, "cpu", cpu):
        yield


def _tokens() -> dict[str, Tensor]:
    tokens = torch.randint(3, 200, (4, 16), generator=torch.Generator().manual_seed(1))
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def _classifier(model: Any, config: Any, layers: int) -> Base:
    batch = {**_tokens(), "labels": torch.arange(4) % 2}
    return Base(lambda: model(config(num_hidden_layers=layers, **_WIDTHS)), batch)


def _llama() -> Base:
    tokens = _tokens()
    return Base(
        lambda: LlamaForCausalLM(LlamaConfig(num_hidden_layers=32, **_WIDTHS)),
        {**tokens, "labels": tokens["input_ids"]},
        "CAUSAL_LM",
    )


BASES = {
    "BERT-mini": lambda: _classifier(BertForSequenceClassification, BertConfig, 4),
    "RoBERTa-large": lambda: _classifier(RobertaForSequenceClassification, RobertaConfig, 24),
    "Llama-7B": _llama,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=list(BASES), help="one of the models")
    parser.add_argument("--dry", action="store_true", help="store nothing")
    given = parser.parse_args()
    rows = Rows("dispatch")
    measure(rows, [given.only] if given.only else list(BASES))
    if not given.dry:
        rows.store()


if __name__ == "__main__":
    main()
