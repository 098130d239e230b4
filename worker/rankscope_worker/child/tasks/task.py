"""TrainedTask: the task-specific part of a training. Everything else is the same for all tasks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import nn
from transformers import EvalPrediction, PreTrainedTokenizerBase

from rankscope.catalog.data.splits import Split
from rankscope.contract.predictions import Guess
from rankscope_worker.child.loading.data import TokenizedSplit
from rankscope_worker.child.loading.encoding import TextEncoder
from rankscope_worker.child.loading.model import Head


class NotFinite(ValueError):
    """A model's outputs are NaN or infinite."""


class TrainedTask(Protocol):
    """Created from the run's `task` and the labels of its data, in their fixed order.

    The part of a task without torch, with its columns and metrics, is in `rankscope.contract.tasks`.
    """

    peft_type: str
    """PEFT's name of the task, such as CAUSAL_LM, which determines the layers of the head."""
    label_names: Sequence[str]
    """Names of the encoded columns that are targets."""

    def head(self) -> Head:
        """Returns the head, with its model class and settings, for `load_model`."""

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        """Returns token ids and targets of both sides. Raises UnusableText or UnusableModel with the row."""

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        """Returns a function that makes a padded batch of rows."""

    def metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """Returns the metrics of an evaluation, without the loss, under the names of the contract without `eval_`."""

    def answer(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, encoded: dict[str, Any]) -> list[Guess]:
        """Returns a model's prediction for each text ("Try it"). Raises NotFinite."""
