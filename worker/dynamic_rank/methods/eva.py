"""eva: LoRA with ranks assigned once before training, by the variance of the activations (Paischer et al. 2024)."""

# ruff: noqa: ARG002  (signatures are those of RankMethod)
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from peft import EvaConfig, LoraConfig
from peft.tuners.lora.eva import get_eva_state_dict
from torch import nn
from transformers import TrainerCallback

from ..adapter.components import PEFT_PREFIX
from ..adapter.heads import task_name
from ..allocation.snapshot import OnSnapshot
from ..schedule.checks import check_number, check_whole
from ..warning import OnWarning
from .assigned_callback import AssignedCallback
from .plain import AdapterOptions, PlainLora
from .protocol import Batches, ModulesToSave, RunContext, Stopped

MOST_BATCHES = 2000
"""Number of forward passes after which the directions must have converged."""
_LANGUAGE_MODELS = ("CAUSAL_LM", "SEQ_2_SEQ_LM")


@dataclass(frozen=True, kw_only=True)
class EvaOptions(AdapterOptions):
    """Options of `eva`.

    rank  mean rank of all modules
    rho   a module gets at most rank * rho components; 1 gives all modules the same rank
    tau   cosine similarity of a direction between two passes at which it has converged
    """

    rank: int = 8
    rho: float = 2.0
    tau: float = 0.99

    def __post_init__(self) -> None:
        check_whole("rank", self.rank, least=1)
        check_number("rho", self.rho, least=1)
        check_number("tau", self.tau, above=0, below=1)
        super().__post_init__()


class Eva(PlainLora):
    """Explained Variance Adaptation (Paischer et al. 2024, arXiv 2410.07170), computed by PEFT.

    A is initialised with principal directions of each module's inputs; the directions of all modules that explain the most
    variance get the budget. B starts at zero, and the scale is lora_alpha / rank in every module.
    """

    key = "eva"

    def __init__(self, options: EvaOptions) -> None:
        super().__init__(options)
        self._eva = options
        self.start_rank = options.rank
        self.width = round(options.rank * options.rho)  # as PEFT rounds it
        self._task: str | None = None
        self.is_initialized = False
        self.should_stop: Callable[[], bool] = lambda: False
        """Called before each batch of `initialize`."""

    def set_context(self, context: RunContext) -> None:
        self.should_stop = context.should_stop

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        self._task = task_name(task_type)
        self.is_initialized = False
        wrapped = super().prepare(model, task_type, modules_to_save)
        small = next((pair for pair in self.pairs if self.width > pair.lora.in_features), None)
        if small is not None:
            raise ValueError(
                f"rank={self._eva.rank} times rho={self._eva.rho:g} allows a module up to {self.width} components, but "
                f"{small.name} has only {small.lora.in_features} inputs; lower rank or rho, or exclude {small.name}."
            )
        return wrapped

    def initialize(self, batches: Batches) -> None:
        """Assign the ranks, reading `batches` until the directions have converged.

        Batches with fewer tokens than a module may get components are skipped, as in PEFT. Raises ValueError if all
        batches are too small, or if the directions have not converged after MOST_BATCHES; Stopped if `should_stop()`
        returns true.
        """
        # Only language models have a label per token, from which PEFT can make a token mask.
        eva = EvaConfig(rho=self._eva.rho, tau=self._eva.tau, use_label_mask=self._task in _LANGUAGE_MODELS)
        config = LoraConfig(r=self._eva.rank, init_lora_weights="eva", eva_config=eva)
        found = get_eva_state_dict(self._wrapped, _Endless(batches, self), config, show_progress_bar=False)
        for pair in self.pairs:
            directions = found[f"{PEFT_PREFIX}{pair.name}"]
            pair.replace(directions, pair.B.new_zeros(pair.B.shape[0], directions.shape[0]))
        self.is_initialized = True

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        return [AssignedCallback(self, on_snapshot, snapshot_every)]

    def _restore_extra(self, info: Mapping[str, Any]) -> None:
        self.is_initialized = True


class _Endless:
    """The batches with enough tokens, repeated until PEFT has converged or MOST_BATCHES were read.

    PEFT itself would loop forever, and print a line for each module and batch that it skips.
    """

    def __init__(self, batches: Batches, method: Eva) -> None:
        self._batches = batches
        self._method = method

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        method, most = self._method, 0
        kept: list[Mapping[str, Any]] = []
        for batch in self._batches:
            if method.should_stop():
                raise Stopped
            tokens = _tokens(batch)
            most = max(most, tokens)
            if tokens >= method.width:
                kept.append(batch)
                yield batch
            if len(kept) == MOST_BATCHES:
                break
        if not kept:
            raise ValueError(
                f"rank={method.options['rank']} times rho={method.options['rho']:g} allows a module up to {method.width} "
                f"components, but the largest batch has only {most} tokens; lower rank or rho, or increase the batch size."
            )
        for _, batch in zip(range(MOST_BATCHES - len(kept)), cycle(kept), strict=False):
            if method.should_stop():
                raise Stopped
            yield batch
        raise ValueError(
            f"EVA's directions have not converged after {MOST_BATCHES:,} batches; lower tau={method.options['tau']:g}, "
            "rank or rho, or increase the batch size."
        )


def _tokens(batch: Mapping[str, Any]) -> int:
    mask = batch.get("attention_mask")
    return int(batch["input_ids"].numel() if mask is None else mask.sum())
