"""TrainedTask: what a task adds to a training. Everything else in the child is the same for all tasks."""

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
    """A model's answers are NaN or infinite."""


class TrainedTask(Protocol):
    """Made from the run's `task` and from the labels of its data, in their fixed order.

    The torch-free half of a task, with its columns and metrics, is in `rankscope.contract.tasks`.
    """

    peft_type: str
    """PEFT's name of the task, such as CAUSAL_LM: it decides which layers are the head."""
    label_names: Sequence[str]
    """Which of the encoded columns are targets."""

    def head(self) -> Head:
        """The class of models and its settings: what `load_model` puts on the files of a model."""

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        """Token ids and targets of both sides. Raises UnusableText or UnusableModel, naming the row."""

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        """Makes a padded batch of rows."""

    def metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """Of an evaluation, without the loss. The names are those of the contract without `eval_`."""

    def answer(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, encoded: dict[str, Any]) -> list[Guess]:
        """What a model says about each text ("Try it"). Raises NotFinite."""
