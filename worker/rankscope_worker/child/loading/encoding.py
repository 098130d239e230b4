"""TextEncoder: converts texts to token ids, and rejects those that the model can't process."""

import inspect
import unicodedata
from array import array
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.loading.model import max_tokens
from rankscope_worker.child.loading.token_cache import TokenCache

_SHOWN = 60
_UNLIMITED = 10**9
_KEYS = ("input_ids", "attention_mask", "token_type_ids")


class UnusableText(ValueError):
    """One text can't be given to the model; the message names it and the reason."""


@dataclass
class Counts:
    """Counts over everything encoded so far."""

    texts: int = 0
    cut: list[int] = field(default_factory=list)
    """Indices of the truncated texts, in order of encoding."""
    with_special: int = 0
    """Number of texts that contain a special token of the tokenizer, which was treated as plain text."""
    tokens: int = 0
    """Without the special tokens that the tokenizer adds."""
    unknown: int = 0
    noted: dict[str, "array[int]"] = field(default_factory=dict)
    """Notes of the task about its rows, in the order of encoding."""

    def note(self, name: str, value: int) -> None:
        self.noted.setdefault(name, array("q")).append(value)

    @property
    def unknown_share(self) -> float:
        return self.unknown / self.tokens if self.tokens else 0.0


class TextEncoder:
    """Encodes rows of one or two texts. `max_length` is at most the model's limit.

    Configures `tokenizer` to return only what the model reads. `cache`: where the rows of a split are kept.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        model: PreTrainedModel,
        max_length: int,
        cache: TokenCache | None = None,
    ) -> None:
        self.cache = cache
        self.limit = max_tokens(model)
        self.is_cutting = True
        self.max_length = max_length if self.limit is None else min(max_length, self.limit)
        self.tokenizer = tokenizer
        accepted = set(inspect.signature(model.forward).parameters)
        # A generic tokenizer adds them for every model: GPT-2 would add a word's embedding for each, and RoBERTa has only one.
        kinds = getattr(model.config, "type_vocab_size", None)
        if (kinds if isinstance(kinds, int) else 2 * (model.config.model_type == "xlnet")) < 2:
            accepted.discard("token_type_ids")
        self._keys = [key for key in _KEYS if key in accepted]
        # Padding uses this list, and ignores a mask that is not in it.
        tokenizer.model_input_names = self._keys
        self._rows = _embedding_rows(model)
        self._end = model.config.eos_token_id if model.config.is_encoder_decoder else None
        if self._end is not None and tokenizer.pad_token_id == self._end:
            raise UnusableModel(
                f"The tokenizer pads with its end token ({self._end}), by which this model's classifier finds the end of a "
                "text. Set pad_token in tokenizer_config.json to a token of its own."
            )
        named = {tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.sep_token_id}
        self._unknown = None if tokenizer.unk_token_id in named else tokenizer.unk_token_id
        self._special = set(tokenizer.all_special_ids) - {self._unknown}
        self._special_texts = [token for token in tokenizer.all_special_tokens if len(token) > 1]
        self._added: dict[int, int] = {}

    @property
    def key(self) -> list[object]:
        """The settings that, together with the tokenizer, determine how a text is encoded."""
        return [self.max_length, self.limit, self.is_cutting, self._keys, self._rows, self._end]

    def uncut(self) -> "TextEncoder":
        """Returns an encoder that doesn't truncate, to show what this one cuts off."""
        whole = copy(self)
        whole.max_length, whole.limit, whole.is_cutting = _UNLIMITED, None, False
        return whole

    def encode(self, columns: Sequence[Sequence[str]], name: Callable[[int], str], counts: Counts) -> dict[str, Any]:
        """Returns token ids and related columns, without padding. `columns`: the texts, or both texts of each pair.

        `name(row)` names a row for an error. Raises UnusableText, or UnusableModel if the tokenizer is the cause.
        """
        encoded = self._tokenized(columns)
        ids: list[list[int]] = encoded["input_ids"]
        added = self._added_to(len(columns))
        for row, tokens in enumerate(ids):
            if self._specials(tokens) > added:
                self._make_plain(encoded, columns, row, name, added)
            self._check(ids[row], columns, row, name)
        counts.cut += [counts.texts + row for row in encoded.pop("cut")]
        counts.texts += len(ids)
        counts.with_special += sum(
            any(token in text for text in row for token in self._special_texts) for row in zip(*columns, strict=True)
        )
        counts.tokens += sum(map(len, ids)) - added * len(ids)
        if self._unknown is not None:
            counts.unknown += sum(tokens.count(self._unknown) for tokens in ids)
        return encoded

    def _tokenized(self, columns: Sequence[Sequence[str]]) -> dict[str, Any]:
        found = self.tokenizer(
            *(list(column) for column in columns),
            truncation=True,
            max_length=self.max_length,
            return_attention_mask="attention_mask" in self._keys,
        )
        if found.is_fast:
            cut = [row for row, one in enumerate(found.encodings or ()) if one.overflowing]
        else:
            cut = [row for row, tokens in enumerate(found["input_ids"]) if len(tokens) >= self.max_length]
        return {key: found[key] for key in self._keys if key in found} | {"cut": cut}

    def _added_to(self, texts: int) -> int:
        """Returns the number of special tokens that the tokenizer adds to a row of this many texts."""
        if texts not in self._added:
            (tokens,) = self._tokenized([["a"]] * texts)["input_ids"]
            self._added[texts] = self._specials(tokens)
        return self._added[texts]

    def _specials(self, tokens: Sequence[int]) -> int:
        return sum(token in self._special for token in tokens)

    def _make_plain(
        self,
        encoded: dict[str, Any],
        columns: Sequence[Sequence[str]],
        row: int,
        name: Callable[[int], str],
        added: int,
    ) -> None:
        """Encodes a row again whose text still became a special token: T5's vocabulary has `</s>` as a word."""
        texts = [unicodedata.normalize("NFKC", column[row]) for column in columns]
        for token in self._special_texts:
            texts = [text.replace(token, f"{token[0]} {token[1:]}") for text in texts]
        again = self._tokenized([[text] for text in texts])
        if self._specials(again["input_ids"][0]) > added:
            raise UnusableText(f"{name(row)} contains a special token of the tokenizer ({_start(columns, row)}).")
        for key in self._keys:
            if key in encoded:
                encoded[key][row] = again[key][0]

    def _check(
        self, tokens: Sequence[int], columns: Sequence[Sequence[str]], row: int, name: Callable[[int], str]
    ) -> None:
        if not tokens:
            raise UnusableText(
                f"{name(row)} has no tokens ({_start(columns, row)}), but this model needs at least one. "
                "Remove the row, or add text to it."
            )
        if self._rows is not None and max(tokens) >= self._rows:
            raise UnusableModel(
                f"The tokenizer returns token {max(tokens)} for {name(row)} ({_start(columns, row)}), but the embedding has "
                f"{self._rows} rows, so the two don't belong together."
            )
        if self._end is not None and self._end not in tokens:
            raise UnusableModel(
                f"The tokenizer adds no end token ({self._end}) to {name(row)}, which this model's classifier needs."
            )


def _embedding_rows(model: PreTrainedModel) -> int | None:
    try:
        embedding = model.get_input_embeddings()
    except NotImplementedError:
        return None
    return embedding.num_embeddings if isinstance(embedding, nn.Embedding) else None


def _start(columns: Sequence[Sequence[str]], row: int) -> str:
    text = " | ".join(column[row] for column in columns)
    return repr(text[:_SHOWN] + ("…" if len(text) > _SHOWN else ""))
