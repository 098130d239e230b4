"""Token classification: a tag for each word, predicted at its first token; precision, recall and F1 of entities."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope.contract.evaluation.results import RowResult
from rankscope.contract.predictions import Guess, TaggedSpan, TagsGuess
from rankscope.contract.tasks import Task
from rankscope.contract.tasks.token_classification import OUTSIDE, words_in
from rankscope_worker.child.loading.data import Batch, TokenizedSplit, tokenized
from rankscope_worker.child.loading.encoding import Counts, TextEncoder, UnusableText
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.loading.model import Head
from rankscope_worker.child.tasks.task import Evaluation, Learned, NotFinite, RowNumbers, TrainedTask

_IGNORED = -100
_PREFIXES = ("B-", "I-", "E-", "S-")
_FIRST = "first_tokens"
"""The encoded column with the index of each word's first token, which the model doesn't take."""


class TokenClassification(TrainedTask):
    peft_type = "TOKEN_CLS"
    label_names: Sequence[str] = ("labels",)

    def __init__(self, options: Task, labels: Sequence[str]) -> None:
        self._options = options
        self._labels = list(labels)
        self._is_plain = not all(tag == OUTSIDE or tag.startswith(_PREFIXES) for tag in labels)

    def head(self) -> Head:
        return Head(
            AutoModelForTokenClassification, MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, "token classifier", self._fit
        )

    def _fit(self, config: PreTrainedConfig) -> None:
        config.id2label = dict(enumerate(self._labels))
        config.label2id = {label: number for number, label in enumerate(self._labels)}

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        return tokenized(split, encoder, max_length, partial(self.encode_batch, split=split, encoder=encoder))

    def encode_batch(self, batch: Batch, split: Split, encoder: TextEncoder, counts: Counts) -> dict[str, Any]:
        numbers = {label: number for number, label in enumerate(self._labels)}
        (column,) = split.text_columns
        found = _encoded([row[column] for row in batch.rows], encoder, batch.name, counts)
        labels = []
        for row, ids, first in zip(batch.rows, found["input_ids"], found.pop(_FIRST), strict=True):
            tags = json.loads(row[str(split.target_column)])
            labels.append([_IGNORED] * len(ids))
            for at, tag in zip(first, tags, strict=False):  # the last words may be cut off
                labels[-1][at] = numbers[tag]
        return found | {"labels": labels}

    def given_texts(self, row: Row, split: Split, encoder: TextEncoder) -> dict[str, str]:  # noqa: ARG002
        (column,) = split.text_columns
        return {column: " ".join(words_in(row[column]))}

    def learned(self, row: Row, encoded: Mapping[str, Any], split: Split) -> Learned:
        places = [at for at, label in enumerate(encoded["labels"]) if label != _IGNORED]
        names = [(at, at + 1, self._labels[encoded["labels"][at]]) for at in places]
        return Learned(" ".join(json.loads(row[str(split.target_column)])), places, names)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        collator: Callable[[list[Any]], Mapping[str, Any]] = DataCollatorForTokenClassification(tokenizer)
        return collator

    def kept_outputs(self, outputs: Any, targets: Any) -> tuple[Tensor, ...]:
        """Returns each token's most probable tag and its loss, both (rows, tokens)."""
        logits: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
        losses = nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=_IGNORED, reduction="none"
        )
        return logits.argmax(-1), losses.view_as(targets)

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        from seqeval.metrics import f1_score, precision_score, recall_score

        guesses, _ = evaluation.outputs
        is_word = evaluation.targets != _IGNORED
        pairs = list(zip(guesses, evaluation.targets, is_word, strict=True))
        found = [self._entity_tags(self._named(row[mask])) for row, _, mask in pairs]
        expected = [self._entity_tags(self._named(row[mask])) for _, row, mask in pairs]
        return {
            "entity_f1": float(f1_score(expected, found, zero_division=0)),
            "entity_precision": float(precision_score(expected, found, zero_division=0)),
            "entity_recall": float(recall_score(expected, found, zero_division=0)),
            "tag_accuracy": float(np.mean(guesses[is_word] == evaluation.targets[is_word])),
        }

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        """Means over the words of a row."""
        guesses, losses = (np.asarray(values, dtype=np.float64) for values in evaluation.outputs)
        is_word = evaluation.targets != _IGNORED
        words = np.where(is_word.any(axis=1), is_word.sum(axis=1), np.nan)
        right = ((guesses == evaluation.targets) & is_word).sum(axis=1)
        return {"tag_accuracy": right / words, "loss": np.where(is_word, losses, 0).sum(axis=1) / words}

    def results(self, evaluation: Evaluation) -> Iterator[RowResult]:
        column, tags_column = (self._options.texts or [""])[0], str(self._options.target)
        for row, guess, loss, target in zip(evaluation.rows, *evaluation.outputs, evaluation.targets, strict=True):
            mask = target != _IGNORED
            yield RowResult(
                inputs={column: " ".join(words_in(row[column]))},
                target=" ".join(json.loads(row[tags_column])),
                prediction=" ".join(self._named(guess[mask])),
                loss=float(loss[mask].mean()) if mask.any() else None,
                is_right=bool((guess[mask] == target[mask]).all()),
            )

    def encode_inputs(
        self, inputs: Sequence[Mapping[str, str]], encoder: TextEncoder, counts: Counts
    ) -> dict[str, Any]:
        texts = [text for one in inputs for text in one.values()]
        return _encoded(texts, encoder, lambda row: f"Text {row + 1}", counts)

    @torch.inference_mode()
    def answer(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        encoded: dict[str, Any],
        inputs: Sequence[Mapping[str, str]],
    ) -> list[Guess]:
        model.eval()
        ids = {name: values for name, values in encoded.items() if name != _FIRST}
        logits: Tensor = model(**tokenizer.pad(ids, return_tensors="pt")).logits
        if not torch.isfinite(logits).all():
            raise NotFinite("The model's outputs are NaN; the training has diverged.")
        guesses: list[Guess] = []
        for one, first, row in zip(inputs, encoded[_FIRST], logits.argmax(-1).numpy(), strict=True):
            tags = self._named(row[first])
            guesses.append(
                TagsGuess(words=words_in(next(iter(one.values()))), tags=tags, spans=entities(self._entity_tags(tags)))
            )
        return guesses

    def _named(self, numbers: Any) -> list[str]:
        return [self._labels[number] for number in numbers]

    def _entity_tags(self, tags: Sequence[str]) -> list[str]:
        """Returns the tags in BIO form. Consecutive words with the same plain tag are one entity."""
        if not self._is_plain:
            return list(tags)
        return [
            tag if tag == OUTSIDE else f"{'I' if at and tags[at - 1] == tag else 'B'}-{tag}"
            for at, tag in enumerate(tags)
        ]


def entities(tags: Sequence[str]) -> list[TaggedSpan]:
    """Returns the entities that tags in BIO form mark."""
    from seqeval.metrics.sequence_labeling import get_entities

    return [TaggedSpan(start=start, end=last + 1, entity=entity) for entity, start, last in get_entities(list(tags))]


def _encoded(texts: Sequence[str], encoder: TextEncoder, name: Callable[[int], str], counts: Counts) -> dict[str, Any]:
    """Returns token ids of rows of words, and the index of the first token of each word that is not cut off."""
    tokenizer = encoder.tokenizer
    if not tokenizer.is_fast:
        raise UnusableModel(
            "The model's tokenizer can't say which word a token belongs to, which this task needs. Use a model with a "
            "tokenizer.json."
        )
    rows = [words_in(text) for text in texts]
    joined = [" ".join(words) for words in rows]
    found = encoder.encode([joined], name, counts)
    places = tokenizer(joined, truncation=True, max_length=encoder.max_length, return_offsets_mapping=True)
    first = []
    for row, (words, text, offsets) in enumerate(zip(rows, joined, places["offset_mapping"], strict=True)):
        if len(offsets) != len(found["input_ids"][row]):
            raise UnusableText(f"{name(row)} contains a special token of the tokenizer ({text[:60]!r}).")
        first.append(_first_tokens(words, text, offsets))
    return found | {_FIRST: first}


def _first_tokens(words: Sequence[str], text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Returns the index of the first token of each word, up to the first word without one."""
    word_at = [number for number, word in enumerate(words) for _ in range(len(word) + 1)]
    first: dict[int, int] = {}
    for at, (start, end) in enumerate(offsets):
        # Some tokenizers make the space before a word part of its first token, and special tokens have no characters.
        if text[start:end].strip():
            first.setdefault(word_at[end - 1], at)
    found = []
    for number in range(len(words)):
        if number not in first:
            break
        found.append(first[number])
    return found
