"""From rows of text to token ids."""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedTokenizerBase

from rankscope.catalog.splits import Split


def tokenized(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> tuple[Dataset, Dataset]:
    """Training and evaluation rows as token ids, cut at `max_length` tokens, with the class number as `labels`.

    Not padded: a collator pads each batch to its longest row.
    """
    disable_progress_bars()
    numbers = {label: number for number, label in enumerate(split.labels)}

    def make(rows: Sequence[dict[str, str]]) -> Dataset:
        columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in split.text_columns}
        texts = Dataset.from_dict(columns)
        tokens = texts.map(
            lambda batch: dict(
                tokenizer(*(batch[name] for name in split.text_columns), truncation=True, max_length=max_length)
            ),
            batched=True,
            remove_columns=split.text_columns,
        )
        return tokens.add_column("labels", [numbers[row[split.label_column]] for row in rows])

    return make(split.train), make(split.evaluation)
