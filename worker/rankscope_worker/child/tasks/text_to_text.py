"""Text to text with an encoder-decoder: the loss of the target's tokens, and ROUGE of generated texts."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    AutoModelForSeq2SeqLM,
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerBase,
)

from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope.contract.evaluation.results import RowResult
from rankscope.contract.predictions import Guess, TextGuess
from rankscope.contract.tasks import Task
from rankscope.contract.tasks import TextToText as Options
from rankscope_worker.child.answers.bleu import bleu_scores
from rankscope_worker.child.answers.generation import Decoding, generate
from rankscope_worker.child.answers.rouge import rouge_of_each, rouge_scores
from rankscope_worker.child.answers.token_scores import perplexity_and_accuracy, token_means, token_scores
from rankscope_worker.child.loading.data import Batch, Notice, TokenizedSplit, tokenized
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.model import Head
from rankscope_worker.child.tasks.task import Evaluation, Learned, NotFinite, RowNumbers, TrainedTask

_CUT_TARGETS = "cut_targets"
"""Number of rows in each batch whose target was truncated."""


class TextToText(TrainedTask):
    peft_type = "SEQ_2_SEQ_LM"
    label_names: Sequence[str] = ("labels",)
    eval_batch_rows = 1  # a row's logits have the size of the vocabulary times the length of its target

    def __init__(self, options: Task, labels: Sequence[str]) -> None:  # noqa: ARG002  (there are no classes)
        assert isinstance(options, Options)
        self._options = options
        self._sources: list[list[int]] = []
        """Of the evaluation rows for which a text is generated."""
        self._targets: list[str] = []
        self._texts: list[dict[str, str]] = []
        """The inputs of the same rows, as in "Try it"."""
        self._generated: list[str] = []
        """The texts of the newest evaluation."""

    def head(self) -> Head:
        kinds = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
        return Head(AutoModelForSeq2SeqLM, kinds, "text-to-text model", lambda _config: None, is_new=False)

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        rows = tokenized(split, encoder, max_length, partial(self.encode_batch, split=split, encoder=encoder))
        chosen = split.evaluation[: self._options.generated_rows]
        self._sources = [rows.evaluation[index]["input_ids"] for index in range(len(chosen))]
        self._targets = [row[str(split.target_column)] for row in chosen]
        self._texts = [{column: row[column] for column in split.text_columns} for row in chosen]
        cut = sum(rows.counts.noted.get(_CUT_TARGETS, ()))
        notices = [*rows.notices, *self._cut_notice(cut, len(split.train) + len(split.evaluation), encoder)]
        return replace(rows, notices=notices)

    def encode_batch(self, batch: Batch, split: Split, encoder: TextEncoder, counts: Counts) -> dict[str, Any]:
        found = encoder.encode(self._prefixed(batch.texts(split.text_columns)), batch.name, counts)
        labels = self._labels([row[str(split.target_column)] for row in batch.rows], encoder)
        if encoder.is_cutting:
            length = self._target_length(encoder)
            counts.note(_CUT_TARGETS, sum(len(ids) > length for ids in labels))
            labels = [ids[:length] for ids in labels]
        return found | {"labels": labels}

    def given_texts(self, row: Row, split: Split, encoder: TextEncoder) -> dict[str, str]:  # noqa: ARG002
        ((source,),) = self._prefixed([[row[split.text_columns[0]]]])
        return {split.text_columns[0]: source, str(split.target_column): row[str(split.target_column)]}

    def learned(self, row: Row, encoded: Mapping[str, Any], split: Split) -> Learned:
        return Learned(row[str(split.target_column)], target_ids=encoded["labels"])

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        collator: Callable[[list[Any]], Mapping[str, Any]] = DataCollatorForSeq2Seq(tokenizer)
        return collator

    def kept_outputs(self, outputs: Any, targets: Any) -> Tensor:
        """For each row: the negative log-likelihood of its target's tokens, how many are right, and their number."""
        return token_scores(outputs[0] if isinstance(outputs, tuple) else outputs, targets, shift=0)

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        return perplexity_and_accuracy(evaluation.outputs)

    def measure_generated(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, should_stop: Callable[[], bool]
    ) -> dict[str, float]:
        texts = self._generated = generate(model, tokenizer, self._sources, self._decoding(), should_stop=should_stop)
        words = sum(len(text.split()) for text in texts) / len(texts)
        scores = rouge_scores(texts, self._targets) | bleu_scores(texts, self._targets)
        return {**scores, "generated_words": words}

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        """ROUGE-L of the rows for which a text is generated; loss and accuracy are means over the tokens of a row."""
        scores = rouge_of_each(self._generated, self._targets)
        unmeasured = [math.nan] * (len(evaluation.outputs) - len(scores))
        return {"rougeL": [*(score["rougeL"] for score in scores), *unmeasured], **token_means(evaluation.outputs)}

    def results(self, evaluation: Evaluation) -> Iterable[RowResult]:
        """Only for the rows for which a text is generated. Their loss is the mean over the target's tokens."""
        rows = zip(self._texts, self._targets, self._generated, evaluation.outputs, strict=False)
        for inputs, target, text, (loss, _, tokens) in rows:
            yield RowResult(inputs=inputs, target=target, prediction=text, loss=float(loss / tokens), is_right=None)

    def encode_inputs(
        self, inputs: Sequence[Mapping[str, str]], encoder: TextEncoder, counts: Counts
    ) -> dict[str, Any]:
        texts = [text for one in inputs for text in one.values()]
        return encoder.encode(self._prefixed([texts]), lambda row: f"Text {row + 1}", counts)

    def answer(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        encoded: dict[str, Any],
        inputs: Sequence[Mapping[str, str]],  # noqa: ARG002
    ) -> list[Guess]:
        model.eval()
        sources: list[list[int]] = encoded["input_ids"]
        start = torch.tensor([[tokenizer.pad_token_id]])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([sources[0]]), decoder_input_ids=start).logits
        if not torch.isfinite(logits).all():
            raise NotFinite("The model's outputs are NaN; the training has diverged.")
        return [TextGuess(text=text) for text in generate(model, tokenizer, sources, self._decoding())]

    def _prefixed(self, columns: list[list[str]]) -> list[list[str]]:
        return [[f"{self._options.prefix}{text}" for text in column] for column in columns]

    def _labels(self, targets: list[str], encoder: TextEncoder) -> list[list[int]]:
        ids: list[list[int]] = encoder.tokenizer(text_target=targets).input_ids
        return ids

    def _target_length(self, encoder: TextEncoder) -> int:
        limit = encoder.limit
        return self._options.max_target_length if limit is None else min(self._options.max_target_length, limit)

    def _decoding(self) -> Decoding:
        options = self._options
        return Decoding(
            options.max_target_length,
            options.min_target_length,
            options.beams,
            options.length_penalty,
            options.no_repeat_ngram_size,
        )

    def _cut_notice(self, cut: int, rows: int, encoder: TextEncoder) -> list[Notice]:
        if not cut:
            return []
        length = self._target_length(encoder)
        return [
            Notice(
                "targets_cut",
                f"The targets of {cut} of {rows} rows are truncated to {length} tokens.",
                "Raise task.max_target_length to keep them whole.",
            )
        ]
