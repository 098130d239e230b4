"""Loads a run's tokenizer and model from a folder. The task, not the files, determines the head and its labels."""

import logging
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from rankscope.catalog.models.architectures import architectures
from rankscope_worker.child.loading.file_errors import UnusableModel, blaming, tokenizer_files

_SAFE = {"local_files_only": True, "trust_remote_code": False}
_LEFT_PADDED = frozenset({"xlnet"})
"""Models whose head reads the last position; every other kind pads on the right."""
_FEWEST_WORDS = 3
"""If the vocabulary has fewer regular entries, the tokenizer files are missing and transformers created a default."""
OF_A_TASK = frozenset(
    {
        "problem_type",
        "num_labels",
        "id2label",
        "label2id",
        "finetuning_task",
        # Settings of an earlier training: with frozen embeddings a checkpointed block would get no gradient, and a BERT that
        # was saved as a decoder would hide the text from its first token.
        "gradient_checkpointing",
        "use_cache",
        "torch_dtype",
        "dtype",
        "torchscript",
        "attn_implementation",
        "_attn_implementation",
        "_attn_implementation_internal",
        "is_decoder",
        "add_cross_attention",
        "is_encoder_decoder",
        # Computes a layer in pieces, which fails for a batch whose length is not a multiple of their size.
        "chunk_size_feed_forward",
        # The form of its outputs.
        "return_dict",
        "use_return_dict",
        "output_attentions",
        "output_hidden_states",
        # Code from a model's folder is never run.
        "auto_map",
    }
)
"""Entries of config.json that are ignored because they don't describe the model."""
_SHOWN = 3


class Head(NamedTuple):
    """The head that a task needs on the body of a model."""

    auto_class: Any
    """The class of transformers that loads it with `from_pretrained`."""
    kinds: Container[type[PreTrainedConfig]]
    """The kinds of models with this head."""
    title: str
    """For errors: `text classifier`."""
    fit: Callable[[PreTrainedConfig], None]
    """Sets the task in the model's configuration before it is built."""
    is_new: bool = True
    """Whether it is added and trained. Otherwise it is part of the model's files, such as a language model's."""
    names: tuple[str, ...] = ()
    """Names of its modules, if they differ from those of the kind's classifier."""


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Returns the folder's tokenizer. One without a padding token pads with its end token.

    Special tokens within a text are treated as plain text, so that a text can't end early or add a separator.
    """
    # An adapter has no config.json. A model's config.json names the tokenizer if the tokenizer files don't.
    config = _load_config(folder) if (folder / "config.json").is_file() else None
    with blaming(folder, lambda: tokenizer_files(folder)):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), config=config, split_special_tokens=True, **_SAFE
        )
    words = len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens))
    if words < _FEWEST_WORDS:
        raise UnusableModel(
            f"The tokenizer in {folder.name} knows {len(tokenizer)} tokens, nearly all of them special ones, so that "
            "every word would be unknown: the folder lacks the tokenizer's own files, such as tokenizer.json or vocab.txt."
        )
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise UnusableModel(
                f"The tokenizer in {folder.name} has neither a padding nor an end token. Add one to it."
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


class LoadedModel(NamedTuple):
    model: PreTrainedModel
    missing: list[str]
    """Names of the body's weights that the files lack, so that they start from random values."""
    has_new_head: bool
    """Whether the head starts from random values because the files don't contain it, as expected."""


def empty_model(folder: Path, head: Head, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Returns the model that `load_model` would, but without weights in memory. Changes `tokenizer` in the same way."""
    config = _prepared_config(folder, head, tokenizer)
    with blaming(folder, lambda: ["config.json"]), torch.device("meta"):
        model: PreTrainedModel = head.auto_class.from_config(config)
    return model


def load_model(
    folder: Path,
    name: str,
    head: Head,
    tokenizer: PreTrainedTokenizerBase,
    quantisation: BitsAndBytesConfig | None = None,
) -> LoadedModel:
    """Returns the folder's model with the task's head, in float32. Sets the padding side of `tokenizer`.

    `quantisation`: of its linear layers, without the head.

    Raises UnusableModel for weights that are mostly missing, of other shapes than config.json says, or not finite.
    """
    transformers_logging.disable_progress_bar()
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        config = _prepared_config(folder, head, tokenizer)
        with blaming(folder, lambda: ["config.json", *sorted(file.name for file in folder.glob("*.safetensors"))[:2]]):
            model, report = _load(folder, config, head, quantisation)
    finally:
        transformers_logging.set_verbosity(before)
    # PEFT writes this to the exported adapter: an id is valid on other hosts, unlike a local path.
    model.name_or_path = name
    prefix = f"{model.base_model_prefix}." if hasattr(model, model.base_model_prefix) else ""
    # In T5 for question answering, the head is next to the encoder and decoder.
    beside = () if prefix else tuple(f"{name}." for name in head.names)

    def is_body(tensor: str) -> bool:
        return tensor.startswith(prefix) and not tensor.startswith(beside)

    # Mismatched entries are (name, shape in the file, shape in the model).
    mismatched = [entry for entry in report["mismatched_keys"] if is_body(entry[0])]
    if mismatched:
        tensor, in_file, expected = mismatched[0]
        raise UnusableModel(
            f"{tensor} has shape {_shape(in_file)} in the weights of {folder.name}, but {_shape(expected)} in its "
            "config.json, so the two don't belong together."
        )
    random = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
    missing = sorted(name for name in random if is_body(name))
    _check_share(model, missing, prefix, report["unexpected_keys"], folder)
    if not head.is_new and (lacking := sorted(random - set(missing))):
        raise UnusableModel(
            f"The weight files of {folder.name} lack {_listed(lacking)}, so that it is not a {head.title}. Use a model that is one."
        )
    from dynamic_rank.wrapping import keep_unpacked  # imports PEFT, which encoding alone doesn't need

    keep_unpacked(model)
    _check_finite(model, folder)
    return LoadedModel(model, missing, has_new_head=len(missing) < len(random))


def _prepared_config(folder: Path, head: Head, tokenizer: PreTrainedTokenizerBase) -> PreTrainedConfig:
    config = _load_config(folder)
    if type(config) not in head.kinds:
        raise UnusableModel(f"Models of type {config.model_type} ({folder.name}) have no {head.title} in transformers.")
    _fit_padding(config, tokenizer)
    head.fit(config)
    _fit_training(config, tokenizer, head)
    return config


def max_tokens(model: PreTrainedModel) -> int | None:
    """Returns the largest number of tokens in one text; None if there is no limit."""
    limits = [
        int(value) for value in (_of(config, "max_position_embeddings") for config in _parts(model.config)) if value
    ]
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and name.rsplit(".", 1)[-1] in _POSITIONS:
            # RoBERTa counts positions from the padding id, BART and OPT from a fixed offset.
            padding = module.padding_idx
            limits.append(
                module.num_embeddings - (padding + 1 if padding is not None else int(getattr(module, "offset", 0)))
            )
    return min((limit for limit in limits if limit > 0), default=None)


_POSITIONS = frozenset({"position_embeddings", "embed_positions", "wpe", "positions_embed", "position_embed"})


def _load_config(folder: Path) -> PreTrainedConfig:
    """Returns the folder's config.json without settings of another task or for running the model."""
    with blaming(folder, lambda: ["config.json"]):
        values, _ = PreTrainedConfig.get_config_dict(str(folder), local_files_only=True)
    kind = str(values.get("model_type"))
    if kind not in CONFIG_MAPPING:
        raise UnusableModel(
            f"config.json of {folder.name} has model_type {kind!r}, which this version of transformers does not support."
        )
    config_class = CONFIG_MAPPING[kind]
    kept = {
        name: value
        for name, value in values.items()
        if name not in OF_A_TASK
        and not (value is None and name.endswith("dropout"))
        and not (name == "quantization_config" and not value)
        # A text model inside another one, where this kind has none.
        and not (name == "text_config" and name not in config_class.sub_configs)
    }
    with blaming(folder, lambda: ["config.json"]):
        config: PreTrainedConfig = config_class.from_dict(kept)
    return config


def _load(
    folder: Path, config: PreTrainedConfig, head: Head, quantisation: BitsAndBytesConfig | None
) -> tuple[PreTrainedModel, dict[str, Any]]:
    options: dict[str, Any] = {} if quantisation is None else {"quantization_config": quantisation}
    if quantisation is not None and head.is_new:
        quantisation.llm_int8_skip_modules = _names_of(config, head)
    try:
        model, report = head.auto_class.from_pretrained(
            str(folder),
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
            **_SAFE,
        )
    except (RuntimeError, MemoryError):
        _check_size(folder, config, head)
        raise
    return model, report


def _check_size(folder: Path, config: PreTrainedConfig, head: Head) -> None:
    """Raises UnusableModel if config.json describes a far larger model than the files contain, before memory runs out."""
    with torch.device("meta"):
        described = sum(parameter.numel() for parameter in head.auto_class.from_config(config).parameters())
    held = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    # Weights packed in 4 bits take half a byte each.
    if described > 4 * held:
        raise UnusableModel(
            f"config.json of {folder.name} describes a model of {described:,} parameters, but its weight files have only "
            f"{held:,} bytes, so the two don't belong together."
        )


def _fit_padding(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Sets the model's padding id to the tokenizer's, whatever config.json has. Call it before the model is built."""
    rows = _of(config.get_text_config(), "vocab_size")
    if rows is not None and tokenizer.pad_token_id >= rows:
        # The padding token was added without a row in the embedding.
        if tokenizer.eos_token_id is None or tokenizer.eos_token_id >= rows:
            raise UnusableModel(
                f"The tokenizer pads with token {tokenizer.pad_token_id} ({tokenizer.pad_token}), but the model's embedding has "
                f"{rows} rows, so the two don't belong together."
            )
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left" if config.model_type in _LEFT_PADDED else "right"
    for part in _parts(config):
        part.pad_token_id = tokenizer.pad_token_id


def _fit_training(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, head: Head) -> None:
    """Disables computations that training does not use, and makes a new head trainable."""
    if head.is_new:
        _keep_head_in_full(config, head)
    for part in _parts(config):
        part.use_cache = False
    if config.is_encoder_decoder:
        if head.is_new:
            # false in the file is about the language model's output. Encoder and decoder still share one embedding.
            config.tie_word_embeddings = True
        if tokenizer.eos_token_id is not None:
            config.eos_token_id = tokenizer.eos_token_id
        elif type(config.eos_token_id) is not int:
            raise UnusableModel(
                "The tokenizer has no end token, which this kind of model needs. Set eos_token in tokenizer_config.json."
            )
        if getattr(config, "decoder_start_token_id", None) is None:
            config.decoder_start_token_id = tokenizer.pad_token_id


def _keep_head_in_full(config: PreTrainedConfig, head: Head) -> None:
    """Gives a quantised model a head in full precision, which can be trained."""
    settings = getattr(config, "quantization_config", None)
    if isinstance(settings, dict) and config.model_type in architectures():
        skipped = settings.get("llm_int8_skip_modules") or []
        settings["llm_int8_skip_modules"] = [*skipped, *_names_of(config, head)]


def _names_of(config: PreTrainedConfig, head: Head) -> list[str]:
    architecture = architectures().get(config.model_type)
    return [*(architecture.heads if architecture else ()), *head.names]


def _parts(config: PreTrainedConfig) -> Iterator[PreTrainedConfig]:
    """Returns the configuration, and that of the text model if it is nested in it."""
    yield config
    if (text := config.get_text_config()) is not config:
        yield text


def _of(config: PreTrainedConfig, name: str) -> int | None:
    value = getattr(config, name, None)
    return value if isinstance(value, int) else None


def _check_share(
    model: PreTrainedModel, missing: Sequence[str], prefix: str, unexpected: Sequence[str], folder: Path
) -> None:
    """Rejects a body that would start mostly from random values, because an adapter does not contain it."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters() if name.startswith(prefix)}
    lacking = [name for name in missing if name in sizes]
    if 2 * len(lacking) <= len(sizes) and 2 * sum(sizes[name] for name in lacking) <= sum(sizes.values()):
        return
    others = f" The files contain {_listed(sorted(unexpected))} instead." if unexpected else ""
    raise UnusableModel(
        f"The weight files of {folder.name} lack {len(lacking)} of the {len(sizes)} tensors of the model, among them "
        f"{_listed(lacking)}.{others}"
    )


def _check_finite(model: PreTrainedModel, folder: Path) -> None:
    broken = [name for name, parameter in model.named_parameters() if not torch.isfinite(parameter).all()]
    if broken:
        raise UnusableModel(f"The weights of {folder.name} contain NaN or infinity, in {_listed(broken)}.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "of a single number"
