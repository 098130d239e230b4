"""TrainedTask: the task-specific part of a training. Everything else is the same for all tasks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope.contract.evaluation.results import RowResult
from rankscope.contract.predictions import Guess
from rankscope_worker.child.loading.data import Batch, TokenizedSplit
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.model import Head

RowNumbers = Mapping[str, Iterable[float]]
"""One number for each evaluation row, by metric."""


class NotFinite(ValueError):
    """A model's outputs are NaN or infinite."""


@dataclass(frozen=True)
class Learned:
    """What the loss of one encoded row is computed from."""

    target: str | None = None
    """As text."""
    places: Sequence[int] = ()
    """Indices of the input's tokens that have a loss."""
    names: Sequence[tuple[int, int, str]] = ()
    """What tokens are learned as, such as a tag: the first one, the one after the last, and the name."""
    target_ids: Sequence[int] | None = None
    """The tokens of a target that is a separate sequence; all of them have a loss."""
    left_out: str | None = None
    """Why the training leaves the row out, as a sentence."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of all evaluation rows."""

    outputs: Any
    """The model's outputs as `kept_outputs` returned them, as one array or a tuple of arrays, padded with -100."""
    targets: Any
    """The encoded columns that `label_names` names, padded with -100; None if the rows have none."""
    encoded: EncodedRows
    """The rows as `encode` returned them, in the order of the outputs, with all their columns."""
    rows: Sequence[Row]
    """The rows of the data set."""
    tokenizer: PreTrainedTokenizerBase

    def of(self, rows: Sequence[int], encoded: Sequence[int] | None = None) -> "Evaluation":
        """Returns the evaluation of these rows alone. `encoded`: the indices of their encoded rows, if they are not the same."""
        at = list(rows if encoded is None else encoded)
        return Evaluation(
            _chosen(self.outputs, at),
            _chosen(self.targets, at),
            self.encoded.select(at),
            [self.rows[row] for row in rows],
            self.tokenizer,
        )


def _chosen(values: Any, at: list[int]) -> Any:
    if values is None or not isinstance(values, tuple):
        return None if values is None else values[at]
    return tuple(_chosen(each, at) for each in values)


class TrainedTask(Protocol):
    """Created from the run's `task` and the labels of its data, in their fixed order; used for one training.

    The part of a task without torch, with its columns and metrics, is in `rankscope.contract.tasks`.
    """

    peft_type: str
    """PEFT's name of the task, which determines the layers of the head."""
    label_names: Sequence[str]
    """Names of the encoded columns that are targets."""
    eval_batch_rows: int = 32
    """Rows in a batch of an evaluation, if a batch of the training has fewer."""

    def head(self) -> Head:
        """Returns the head, with its model class and settings, for `load_model`."""
        ...

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        """Returns token ids and targets of both sides. Raises UnusableText or UnusableModel with the row."""
        ...

    def encode_batch(self, batch: Batch, split: Split, encoder: TextEncoder, counts: Counts) -> dict[str, Any]:
        """Returns some rows in the form of `encode`. `split` names the columns; its rows are not used."""
        ...

    def given_texts(self, row: Row, split: Split, encoder: TextEncoder) -> dict[str, str]:  # noqa: ARG002
        """Returns the texts of a row exactly as the tokenizer gets them, by their titles. Call `encode_batch` first."""
        return {column: row[column] for column in split.text_columns}

    def learned(self, row: Row, encoded: Mapping[str, Any], split: Split) -> Learned:  # noqa: ARG002
        """Returns what is learned from an encoded row, which must be the whole latest batch of `encode_batch`."""
        return Learned(target=row[split.target_column] if split.target_column is not None else None)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        """Returns a function that makes a padded batch of rows, without the columns that the model doesn't take."""
        ...

    def training_collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        """Returns `collator` for batches of the training, where only the loss is needed; called after `encode`."""
        return self.collator(tokenizer)

    def check_model(self, model: nn.Module) -> None:
        """Raises UnusableModel if the task's options don't work with the model, which is loaded and not yet wrapped."""

    def kept_outputs(self, outputs: Any, targets: Any) -> Tensor | tuple[Tensor, ...]:  # noqa: ARG002
        """Returns what an evaluation keeps of a batch's outputs: the outputs of all rows are in memory at its end."""
        kept: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
        return kept

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        """Returns the metrics of an evaluation, without the loss, under the names of the contract without `eval_`."""
        ...

    def metrics_of(self, evaluation: Evaluation, rows: Sequence[int]) -> dict[str, float]:
        """Returns `metrics` of these rows of an evaluation. A task with more or fewer encoded rows than rows overrides it."""
        return self.metrics(evaluation.of(rows))

    def measure_generated(
        self,
        model: nn.Module,  # noqa: ARG002
        tokenizer: PreTrainedTokenizerBase,  # noqa: ARG002
        should_stop: Callable[[], bool],  # noqa: ARG002
    ) -> dict[str, float]:
        """Returns the metrics of texts that the model generates in an evaluation, with names like those of `metrics`.

        Called after `metrics`. Uses no random numbers. Raises Interrupted if `should_stop` returns true.
        """
        return {}

    def results(self, evaluation: Evaluation) -> Iterable[RowResult]:  # noqa: ARG002
        """Returns the results of `rows_with_results`, in their order; nothing for a task that has none.

        Called once, after the last evaluation of the training.
        """
        return ()

    def rows_with_results(self, evaluation: Evaluation) -> Sequence[int]:
        """Returns the index of each of `results` among the evaluation rows."""
        return range(len(evaluation.rows))

    def row_values(self, evaluation: Evaluation) -> RowNumbers:  # noqa: ARG002
        """Returns numbers of each evaluation row, in their order, by metric without `eval_`; NaN for a row without.

        The main metric is first: two runs are compared by it, row by row. Called after `measure_generated`.
        """
        return {}

    def confusion(self, evaluation: Evaluation) -> list[list[int]] | None:  # noqa: ARG002
        """Returns how often each label (row) was predicted as each label (column); None without labels."""
        return None

    def encode_inputs(
        self, inputs: Sequence[Mapping[str, str]], encoder: TextEncoder, counts: Counts
    ) -> dict[str, Any]:
        """Returns the token ids of inputs of "Try it", by the names of `Task.inputs`; not padded. Raises UnusableText."""
        return encoder.encode(
            [list(texts) for texts in zip(*(one.values() for one in inputs), strict=True)],
            lambda row: f"Text {row + 1}",
            counts,
        )

    def answer(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        encoded: dict[str, Any],
        inputs: Sequence[Mapping[str, str]],
    ) -> list[Guess]:
        """Returns a model's prediction for each input ("Try it"); `encoded` is from `encode_inputs`. Raises NotFinite."""
        ...
