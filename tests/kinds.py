"""Tiny random models of several kinds as folders, each with a tokenizer of its kind, for tests of their differences."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.tiny import FILLER, WORDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEXTS = [
    "a good film",
    "the plot is very poor and the music of the end is grim",
    "dull",
    "warm scene , great actor",
    "is the end the end ?",
]
_BERT: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def make_folder(folder: Path, kind: str, *, config: dict[str, Any] | None = None, seed: int = 0) -> Path:
    """Saves a model of this kind with random weights; `config` is written over its config.json afterwards."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import json

    import torch

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, make = _KINDS[kind]
    made = tokenizer()
    made.save_pretrained(folder)
    torch.manual_seed(seed)
    make(made).save_pretrained(folder)
    if config:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return folder


def _wordpiece() -> "PreTrainedTokenizerBase":
    from transformers import BertTokenizer

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        ",",
        "?",
        "and",
        "of",
        *FILLER,
        *WORDS["fresh"],
        *WORDS["rotten"],
    ]
    return BertTokenizer(vocab={word: number for number, word in enumerate(words)})


def _byte_level(special: list[str], template: str | None, **names: str) -> "PreTrainedTokenizerBase":
    """A byte-level BPE trained on TEXTS, like those of GPT-2, RoBERTa and BART."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if template:
        ids = [(token, tokenizer.token_to_id(token)) for token in special if token in template]
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=ids)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _unigram() -> "PreTrainedTokenizerBase":
    """A unigram model with `</s>` among its pieces, like that of T5."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for text in TEXTS for word in text.split())]
    letters = sorted({letter for piece in pieces[4:] for letter in piece if letter != "▁"} | set("<>/s"))
    vocabulary = [(piece, 0.0) for piece in pieces[:3]]
    vocabulary += [(piece, -2.0) for piece in dict.fromkeys(pieces[3:])] + [
        (letter, -6.0) for letter in letters if letter not in pieces
    ]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def _bert(tokenizer: "PreTrainedTokenizerBase") -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **_BERT))


def _roberta(tokenizer: "PreTrainedTokenizerBase") -> Any:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    return RobertaForSequenceClassification(
        RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, pad_token_id=1, **_BERT)
    )


def _llama(tokenizer: "PreTrainedTokenizerBase") -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=64,
            num_key_value_heads=1,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=None,
            **_BERT,
        )
    )


def _gpt2(tokenizer: "PreTrainedTokenizerBase") -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    end = tokenizer.eos_token_id
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=64,
            bos_token_id=end,
            eos_token_id=end,
        )
    )


def _bart(tokenizer: "PreTrainedTokenizerBase") -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=len(tokenizer),
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=24,
            decoder_ffn_dim=24,
            max_position_embeddings=64,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=2,
            forced_eos_token_id=None,
        )
    )


def _t5(tokenizer: "PreTrainedTokenizerBase") -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    undeclared: dict[str, Any] = {"decoder_start_token_id": 0}
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=16,
            d_kv=8,
            d_ff=24,
            num_layers=1,
            num_heads=2,
            pad_token_id=0,
            eos_token_id=1,
            **undeclared,
        )
    )


_MASKED = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_MASKED_NAMES = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
_KINDS: dict[str, tuple[Callable[[], "PreTrainedTokenizerBase"], Callable[["PreTrainedTokenizerBase"], Any]]] = {
    "bert": (_wordpiece, _bert),
    "roberta": (lambda: _byte_level(_MASKED, "<s> $A </s>", **_MASKED_NAMES), _roberta),
    "llama": (
        lambda: _byte_level(
            ["<unk>", "<s>", "</s>"],
            "<s> $A",
            bos_token="<s>",
            eos_token="</s>",
            unk_token="<unk>",
            padding_side="left",
        ),
        _llama,
    ),
    "gpt2": (
        lambda: _byte_level(
            ["<|endoftext|>"], None, **dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
        ),
        _gpt2,
    ),
    "bart": (lambda: _byte_level(_MASKED, "<s> $A </s>", **_MASKED_NAMES), _bart),
    "t5": (_unigram, _t5),
}
KINDS = tuple(_KINDS)
