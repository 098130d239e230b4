"""A tiny random BERT with a tokenizer, and a data set that it can learn, for integration tests."""

import csv
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WORDS = {"fresh": ["good", "great", "fine", "warm", "bright"], "rotten": ["bad", "poor", "dull", "cold", "grim"]}
FILLER = ["the", "film", "a", "plot", "is", "actor", "scene", "very", "music", "end"]


def make_tiny_bert(
    folder: Path, *, hidden: int = 32, layers: int = 2, seed: int = 0, words: Sequence[str] = ()
) -> Path:
    """Saves a BERT with random weights, `layers` blocks and a word-level vocabulary of the texts below, and `words`."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = _save_tokenizer(folder, words)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def _save_tokenizer(folder: Path, words: Sequence[str] = ()) -> "PreTrainedTokenizerBase":
    from transformers import BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FILLER, *WORDS["fresh"], *WORDS["rotten"]]
    vocabulary += [word for word in words if word not in vocabulary]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(vocabulary)})
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_tiny_bart(folder: Path, *, seed: int = 0) -> Path:
    """Saves a BART with random weights, an encoder and a decoder of one block each, and the vocabulary of `make_tiny_bert`."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import BartConfig, BartForSequenceClassification

    tokenizer = _save_tokenizer(folder)
    torch.manual_seed(seed)
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        decoder_start_token_id=tokenizer.sep_token_id,
        forced_eos_token_id=None,
    )
    BartForSequenceClassification(config).save_pretrained(folder)
    return folder


def make_reviews(path: Path, *, rows: int = 240, seed: int = 0) -> Path:
    """Saves a CSV with columns text and label; the label follows from one word of the text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(rows):
            label = ("fresh", "rotten")[number % 2]
            words = [*chance.choices(FILLER, k=7), chance.choice(WORDS[label])]
            chance.shuffle(words)
            writer.writerow([" ".join([*words, chance.choice(FILLER)]), label])
    return path
