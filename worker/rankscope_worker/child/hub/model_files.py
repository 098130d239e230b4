"""Chooses the files of a model that are downloaded: config, tokenizer, licence and safetensors weights."""

import re

from rankscope.catalog.models.tokenizer_files import TOKENIZER_FILES
from rankscope.catalog.models.weight_files import INDEX, SINGLE, other_format
from rankscope_worker.child.hub.client import HubError, HubFile, HubRepository

_TEXTS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "chat_template.jinja",
        "chat_template.json",
        "README.md",
        *TOKENIZER_FILES,
    }
)
_LICENCE = re.compile(r"(LICEN[CS]E|NOTICE)(\.(txt|md))?", re.IGNORECASE)
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_MAX_TEXT_BYTES = 256 << 20
_MAX_FILES = 1000


def chosen_files(model: HubRepository) -> list[HubFile]:
    """Returns config, tokenizer, licence and safetensors weights. Raises HubError if these are not enough."""
    by_name = {file.name: file for file in model.files}
    if "config.json" not in by_name:
        raise HubError(
            f"{model.hub_id} has no config.json, so it is not a model for transformers.", "Use another model."
        )
    if SINGLE in by_name:
        weights = [by_name[SINGLE]]
    elif INDEX in by_name:
        weights = [by_name[INDEX], *(file for file in model.files if _SHARD.fullmatch(file.name))]
    else:
        other = other_format(by_name)
        has = f" {other[0]} is {other[1]}." if other else ""
        raise HubError(
            f"{model.hub_id} has no weights in safetensors format.{has}",
            "Use a revision with model.safetensors, for example one of its pull requests (refs/pr/1), or another model.",
        )
    texts = [
        file
        for file in model.files
        if (file.name in _TEXTS or _LICENCE.fullmatch(file.name)) and file.size <= _MAX_TEXT_BYTES
    ]
    files = [*texts, *weights]
    if len(files) > _MAX_FILES:
        raise HubError(f"{model.hub_id} consists of {len(files):,} files, which is too many.", "Use another model.")
    return files
