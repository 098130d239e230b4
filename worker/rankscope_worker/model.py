"""The base model and its tokenizer, from a folder of the catalogue: safetensors only, no code of the model's own."""

import logging
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

_SAFE = {"local_files_only": True, "trust_remote_code": False}


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer; one without a padding token pads with its end token."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(folder), **_SAFE)
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ValueError(f"The tokenizer in {folder.name} has neither a padding nor an end token; add one to it.")
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


class LoadedModel(NamedTuple):
    model: PreTrainedModel
    missing: list[str]
    """Names of the body's weights that the files lack, so that they start from random values."""
    has_new_head: bool
    """The classification head starts from random values: it is meant to be missing from the files."""


def load_model(folder: Path, name: str, labels: list[str], tokenizer: PreTrainedTokenizerBase) -> LoadedModel:
    """The folder's model with a classification head, in float32."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            str(folder),
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **_SAFE,
        )
    finally:
        transformers_logging.set_verbosity(before)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    # PEFT writes this into the exported adapter: an id means something elsewhere, a path of this host does not.
    model.name_or_path = name
    prefix = f"{model.base_model_prefix}."
    # Mismatched entries are (name, shape in the file, shape in the model).
    random = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
    missing = sorted(name for name in random if name.startswith(prefix))
    return LoadedModel(model, missing, has_new_head=len(missing) < len(random))
