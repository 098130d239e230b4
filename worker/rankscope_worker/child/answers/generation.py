"""Generates texts with a language model by greedy or beam search, so that the same model always gives the same text."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria

_BATCH = 8


@dataclass(frozen=True)
class Decoding:
    """How texts are generated. There is no sampling."""

    max_new_tokens: int
    min_new_tokens: int = 0
    beams: int = 1
    length_penalty: float = 1.0
    """Above 1 prefers longer texts, below 1 shorter ones. Only for several beams."""
    no_repeat_ngram_size: int = 0
    """No sequence of this many tokens occurs twice in a text; 0: no such rule."""


class Interrupted(Exception):
    """A stop was requested while texts were generated."""


def generate(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    stop_tokens: Sequence[int] = (),
    should_stop: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Returns the text that follows each prompt, without special tokens. `prompts` are token ids without padding.

    The text ends at the end token of tokenizer or model, or at one of `stop_tokens`. Uses no random numbers.
    `should_stop` is called after every token; if it returns true, Interrupted is raised.
    """
    inner: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    config = _config(inner, tokenizer, decoding, stop_tokens)
    was_training = model.training
    model.eval()
    texts: list[str] = []
    try:
        for start in range(0, len(prompts), _BATCH):
            inputs = _padded(prompts[start : start + _BATCH], inner, int(config.pad_token_id))
            with torch.no_grad():
                made: Any = inner.generate(
                    **inputs, generation_config=config, stopping_criteria=[_StopRequest(should_stop)]
                )
            # A decoder repeats the prompt; an encoder-decoder begins with its start token, which is not printed.
            new = made if inner.config.is_encoder_decoder else made[:, inputs["input_ids"].shape[1] :]
            texts += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
    finally:
        model.train(was_training)
    return texts


class _StopRequest(StoppingCriteria):
    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        if self._should_stop():
            raise Interrupted
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _config(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, decoding: Decoding, stop_tokens: Sequence[int]
) -> GenerationConfig:
    """Returns the model's own generation settings, such as its start token, with ours for search and length."""
    own = getattr(model, "generation_config", None) or GenerationConfig()
    ends = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    every_end = {token for token in (*ends, tokenizer.eos_token_id, *stop_tokens) if token is not None}
    config = copy.deepcopy(own)
    config.update(
        do_sample=False,
        temperature=None,
        top_k=None,
        top_p=None,
        max_length=None,
        min_length=None,
        max_new_tokens=decoding.max_new_tokens,
        min_new_tokens=decoding.min_new_tokens or None,
        num_beams=decoding.beams,
        length_penalty=decoding.length_penalty,
        early_stopping=decoding.beams > 1,
        no_repeat_ngram_size=decoding.no_repeat_ngram_size or None,
        use_cache=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted(every_end) or None,
    )
    return config


def _padded(prompts: Sequence[Sequence[int]], model: PreTrainedModel, padding: int) -> dict[str, Tensor]:
    """Returns ids and mask (prompts, longest). Padded on the left for a decoder, which continues at the right end."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), padding)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        at = slice(0, len(prompt)) if model.config.is_encoder_decoder else slice(longest - len(prompt), longest)
        ids[row, at] = torch.tensor(list(prompt))
        mask[row, at] = 1
    return {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}
