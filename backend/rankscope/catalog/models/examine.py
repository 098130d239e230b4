"""Examines the files of one folder: describes the model, or raises UnusableModel with the reason."""

from pathlib import Path

from rankscope.catalog.models.architectures import Architecture
from rankscope.catalog.models.config import (
    check_options,
    check_quantisation,
    class_names,
    context_length,
    find_architecture,
    read_config,
)
from rankscope.catalog.models.entry import FROM_FOLDER, MAX_ID_LENGTH, MINILM, PREFIX, ModelEntry, printable
from rankscope.catalog.models.files import ModelFiles, UnusableModel, shown
from rankscope.catalog.models.layers import model_layers
from rankscope.catalog.models.provenance import hub_source, licence
from rankscope.catalog.models.sizes import model_sizes
from rankscope.catalog.models.tokenizer_files import check_tokenizer
from rankscope.catalog.models.weight_files import adapter_folder, other_format, weight_files
from rankscope.catalog.models.weights import read_weights

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
"""Names of the number of blocks in config.json."""


def examine(model_id: str, folder: Path, files: ModelFiles, *, with_vocabulary: bool) -> ModelEntry:
    _check_name(folder.name, model_id)
    _check_is_model(files)
    config = read_config(files)
    weights = weight_files(files, config)
    if "adapter_config.json" in files.regular:
        raise adapter_folder()
    kind = find_architecture(config)
    check_options(config, kind)
    is_quantised = check_quantisation(config)
    content = read_weights(files, weights)
    _check_head_is_plain(content.packed, kind)
    layers = model_layers(content.shapes, kind, config)
    highest_id = check_tokenizer(files, kind, with_vocabulary=with_vocabulary)
    _check_vocabulary(highest_id, kind.size("vocab_size", config))
    is_demo = model_id == MINILM
    hub = hub_source(files)
    return ModelEntry(
        id=model_id,
        name="all-MiniLM-L6-v2" if is_demo else folder.name,
        description="Small English BERT with 6 layers, Apache-2.0. The model of the demo." if is_demo else FROM_FOLDER,
        folder=folder,
        architecture=next(iter(class_names(config)), kind.class_name),
        layers=next((value for name in _LAYERS if type(value := config.get(name)) is int), None),
        parameters=content.elements,
        body_parameters=layers.body_parameters,
        size_bytes=content.size_bytes,
        dtype=content.dtype,
        licence="apache-2.0" if is_demo else (hub.license if hub and hub.license else licence(files)),
        hub=hub,
        modules=layers.modules,
        outside=layers.outside,
        context_length=context_length(config, kind),
        is_quantised=is_quantised,
        is_exact=layers.is_exact,
        is_body_exact=layers.is_body_exact,
        is_vocabulary_checked=with_vocabulary,
        files=files,
        weights=weights,
        kind=kind,
        sizes=tuple((name, value) for name, value in config.items() if type(value) is int),
        memory_sizes=model_sizes(config, kind, content, layers.modules),
    )


def _check_name(name: str, model_id: str) -> None:
    if printable(name) != name:
        raise UnusableModel("has a name with bytes that are not UTF-8 or with control characters", "Rename the folder.")
    if len(model_id) > MAX_ID_LENGTH:
        raise UnusableModel(
            f"has a name of {len(name)} characters",
            f"Rename it to at most {MAX_ID_LENGTH - len(PREFIX)} characters.",
        )


def _check_is_model(files: ModelFiles) -> None:
    """Raises UnusableModel if the folder is something else, with what it appears to be."""
    if "config.json" in files.regular or "config.json" in files.others or "config.json" in files.folders:
        return
    if "adapter_config.json" in files.regular:
        raise adapter_folder()
    if not files.regular and not files.folders and not files.others:
        raise UnusableModel(
            "is an empty folder", "Copy a model into it: config.json, the tokenizer files and model.safetensors."
        )
    if "snapshots" in files.folders:
        raise UnusableModel(
            "is a folder of the hub's download cache; the model is in one of its snapshots",
            "Link or copy the folder below snapshots/ to the models folder.",
        )
    deeper = next((name for name in files.folders if (files.folder / name / "config.json").is_file()), None)
    if deeper is not None:
        raise UnusableModel(
            f"has no config.json, but its subfolder {shown(deeper)} does",
            f"Move {shown(deeper)} to the models folder.",
        )
    other = other_format(files.regular)
    if other is not None:
        raise UnusableModel(
            f"has no config.json; {shown(other[0])} is {other[1]}",
            "Use the model's version for transformers, in safetensors format.",
        )


def _check_head_is_plain(packed: frozenset[str], kind: Architecture) -> None:
    head = next((name for name in sorted(packed) if name.split(".")[0] in kind.heads), None)
    if head is not None:
        raise UnusableModel(
            f"has a quantised classification head ({shown(head)}), which can't be trained",
            f"Quantise it with llm_int8_skip_modules={list(kind.heads)}, or use the model without its head.",
        )


def _check_vocabulary(highest: int | None, rows: int | None) -> None:
    if highest is not None and rows is not None and highest >= rows:
        raise UnusableModel(
            f"has a tokenizer with token ids up to {highest:,}, and an embedding of {rows:,} tokens (vocab_size)",
            "Use the tokenizer that belongs to these weights, or resize the embedding (resize_token_embeddings) and save "
            "the model again.",
        )
