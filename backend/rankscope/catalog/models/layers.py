"""The layers of a model that a run adapts, and the number of parameters of body and head.

They are derived from the tensor names in the files and from what is known about the kind of model, because a run builds the
model from its configuration and then loads the tensors whose names match.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rankscope.catalog.models.architectures import Architecture, starred
from rankscope.catalog.models.expected_shapes import ExpectedShapes
from rankscope.catalog.models.files import UnusableModel
from rankscope.catalog.models.safetensors_header import shown_key
from rankscope.catalog.models.weight_files import adapter_folder
from rankscope.catalog.models.weights import Shapes

# Names between the block index and the weight that don't describe the layer.
_FILLER = frozenset({"self", "dense", "attention_layer", "mlp", "self_attn", "layer"})
_ADAPTER = re.compile(r"(^|\.)(lora_(A|B|embedding_A|embedding_B|magnitude_vector)|ia3_l|modules_to_save)(\.|$)")
_POOLER = frozenset({"pooler.dense.weight", "pooler.dense.bias"})


@dataclass(frozen=True)
class LinearModule:
    """One linear layer inside a numbered block. `target_modules: null` adapts all of them."""

    name: str
    """Dotted name in the classification model."""
    layer: int
    kind: str
    out_features: int
    in_features: int


@dataclass(frozen=True)
class ModelLayers:
    modules: tuple[LinearModule, ...]
    outside: tuple[LinearModule, ...]
    """Linear layers outside numbered blocks, with layer -1: adapted only if target_modules names them."""
    body_parameters: int
    """Without a head: what remains when a new head is added."""
    is_exact: bool
    """Whether the names in the files determine which layers the run adapts."""
    is_body_exact: bool
    """Whether every parameter of the body is in the files."""


def model_layers(shapes: Shapes, architecture: Architecture, config: Mapping[str, object]) -> ModelLayers:
    """Returns layers and parameter counts. Raises UnusableModel if the weights don't match config.json."""
    if any(_ADAPTER.search(name) for name in shapes):
        raise adapter_folder()
    if not architecture.is_known:
        return _by_names(shapes)
    limits = {path: architecture.size(option, config) for path, option in architecture.blocks.items()}
    found = _Found(architecture, limits, ExpectedShapes(config, architecture))
    for name, shape in shapes.items():
        for inner, part in _pieces(architecture, architecture.inner(name), shape):
            found.add(inner, part)
    if not found.linear_patterns and (architecture.linear or not found.patterns):
        raise _no_name_fits(shapes, architecture)
    _check_depth(found, limits, architecture)
    _check_embedding(found, architecture, config)
    hidden = architecture.size("hidden_size", config)
    parameters = found.parameters
    missing = {name for name in architecture.other if "*" not in name and name not in found.patterns}
    if missing == _POOLER and hidden:
        parameters += hidden * hidden + hidden
        missing = set()
    if hidden:
        found.outside.setdefault("pooler.dense", (hidden, hidden))
    outside = tuple(
        LinearModule(architecture.outer(name), -1, name, *found.outside[name])
        for name in architecture.outside
        if len(found.outside.get(name, ())) == 2
    )
    is_exact = not found.unknown
    return ModelLayers(tuple(found.modules), outside, parameters, is_exact, is_exact and not missing)


def head_parameters(architecture: Architecture, config: Mapping[str, object], labels: int) -> int | None:
    """Returns the number of parameters of the head for this number of classes; None if a size is unknown."""
    total = 0
    for shape in architecture.head:
        sizes = [
            labels if size == "num_labels" else architecture.size(size, config) if isinstance(size, str) else size
            for size in shape
        ]
        if any(size is None for size in sizes):
            return None
        total += math.prod(size for size in sizes if size is not None)
    return total if architecture.head else None


def linear_head_parameters(architecture: Architecture, config: Mapping[str, object], outputs: int) -> int | None:
    """Returns the number of parameters of a linear layer on the last hidden states; None if their size is unknown."""
    sizes = [
        architecture.size(shape[1], config)
        for shape in architecture.head
        if len(shape) == 2 and shape[0] == "num_labels" and isinstance(shape[1], str)
    ]
    return outputs * (sizes[0] + 1) if sizes and sizes[0] is not None else None


class _Found:
    """Collects what the tensors in the files are in the model."""

    def __init__(self, architecture: Architecture, limits: Mapping[str, int | None], expected: ExpectedShapes) -> None:
        self._architecture = architecture
        self._limits = limits
        self._expected = expected
        self.modules: list[LinearModule] = []
        self.parameters = 0
        self.patterns: set[str] = set()
        self.linear_patterns: set[str] = set()
        self.outside: dict[str, tuple[int, ...]] = {}
        self.depths: dict[str, int] = {}
        self.embedding: tuple[int, ...] | None = None
        self.unknown = False

    def add(self, inner: str, shape: tuple[int, ...]) -> None:
        architecture, pattern = self._architecture, starred(inner)
        layer = pattern.removesuffix(".weight")
        if inner.removesuffix(".weight") in architecture.outside:
            self.outside[inner.removesuffix(".weight")] = shape
        if inner == architecture.embedding:
            self.embedding = shape
        if pattern in architecture.tied and pattern not in architecture.other:
            return
        is_ignored = self._is_beyond(inner)
        if inner != architecture.embedding and not is_ignored:
            self._expected.check(pattern, architecture.outer(inner), shape)
        is_linear = pattern.endswith(".weight") and layer in architecture.linear and len(shape) == 2
        if not is_linear and pattern not in architecture.other:
            if _is_expert(pattern, architecture):
                self.parameters += math.prod(shape)
            elif _looks_linear(inner, shape):
                self.unknown = True
                self.modules.append(_module(architecture.outer(inner.removesuffix(".weight")), shape, conv1d=False))
            return
        if is_ignored:
            return
        self._count_block(inner)
        self.patterns.add(pattern)
        self.parameters += math.prod(shape)
        if is_linear:
            self.linear_patterns.add(layer)
            name = architecture.outer(inner.removesuffix(".weight"))
            self.modules.append(_module(name, shape, conv1d=architecture.conv1d))

    def _is_beyond(self, inner: str) -> bool:
        """Whether the name belongs to a block beyond the configured number."""
        path, number = _block_of(inner)
        limit = self._limits.get(path)
        return limit is not None and number >= limit

    def _count_block(self, inner: str) -> None:
        path, number = _block_of(inner)
        if number >= 0:
            self.depths[path] = max(self.depths.get(path, 0), number + 1)


def _block_of(name: str) -> tuple[str, int]:
    """Returns the path of the stack of blocks to which the name belongs, and the block's number; ("", -1) if there is none."""
    parts = name.split(".")
    at = next((index for index, part in enumerate(parts) if part.isdigit()), None)
    return ("", -1) if at is None else (".".join(parts[:at]), int(parts[at][:9]))


def _pieces(architecture: Architecture, inner: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields the tensor, or the layers into which it is split along its first dimension when it is loaded."""
    for source, targets in architecture.splits:
        if source in inner and shape and shape[0] % len(targets) == 0:
            for target in targets:
                yield inner.replace(source, target), (shape[0] // len(targets), *shape[1:])
            return
    yield inner, shape


def _is_expert(pattern: str, architecture: Architecture) -> bool:
    """Whether the layers of all experts are merged into one parameter, which is not adapted."""
    base, found, _ = pattern.partition(".experts.*.")
    return bool(found) and any(name.startswith(f"{base}.experts.") for name in architecture.other)


def _looks_linear(name: str, shape: tuple[int, ...]) -> bool:
    parts = name.split(".")
    return (
        any(part.isdigit() for part in parts)
        and parts[-1] == "weight"
        and len(shape) == 2
        and not re.search("embed|relative_attention_bias", name)
    )


def _module(name: str, shape: tuple[int, ...], *, conv1d: bool) -> LinearModule:
    path = name.split(".")
    block = next((index for index, part in enumerate(path) if part.isdigit()), len(path) - 1)
    kept = [part for part in path[block + 1 :] if part not in _FILLER]
    out_features, in_features = reversed(shape) if conv1d else shape
    return LinearModule(name, int(path[block][:9]), ".".join(kept) or path[-1], out_features, in_features)


def _by_names(shapes: Shapes) -> ModelLayers:
    """Estimates the layers of a kind of model of which only the name is known."""
    modules = tuple(
        _module(name.removesuffix(".weight"), shape, conv1d=False)
        for name, shape in shapes.items()
        if _looks_linear(name, shape)
    )
    return ModelLayers(modules, (), sum(math.prod(shape) for shape in shapes.values()), False, False)


def _check_depth(found: _Found, limits: Mapping[str, int | None], architecture: Architecture) -> None:
    for path, limit in limits.items():
        depth = found.depths.get(path, 0)
        if limit is not None and depth < limit:
            raise UnusableModel(
                f"has {depth} blocks in its weights ({path}), but config.json has {architecture.blocks[path]} {limit}",
                "Use the config.json that belongs to these weights, or copy the missing weights.",
            )


def _check_embedding(found: _Found, architecture: Architecture, config: Mapping[str, object]) -> None:
    rows = architecture.size("vocab_size", config)
    if found.embedding and rows is not None and found.embedding[0] != rows:
        raise UnusableModel(
            f"has an embedding of {found.embedding[0]:,} tokens in its weights, but config.json has vocab_size {rows:,}",
            "Use the config.json that belongs to these weights.",
        )
    width = architecture.size(architecture.width, config) if architecture.width else None
    if found.embedding and width is not None and found.embedding[1:] != (width,):
        raise UnusableModel(
            f"has an embedding of {found.embedding[-1]:,} numbers per token in its weights, but config.json has "
            f"{architecture.width} {width:,}",
            "Use the config.json that belongs to these weights.",
        )


def _no_name_fits(shapes: Shapes, architecture: Architecture) -> UnusableModel:
    names = list(shapes)
    for depth in (1, 2, 3):
        wrapper = ".".join(names[0].split(".")[:depth])
        stripped = [name.removeprefix(f"{wrapper}.") for name in names if name.startswith(f"{wrapper}.")]
        if _fits(stripped, architecture):
            return UnusableModel(
                f"has weights whose names all start with {wrapper + '.'!r}, because a wrapped model was saved, so none "
                "of them would be loaded",
                "Save the unwrapped model (for example model.module.save_pretrained), or remove the prefix from the names.",
            )
    return UnusableModel(
        f"has no weight with a name that {architecture.class_name} uses (the first of {len(names):,} is "
        f"{shown_key(names[0])}), so training would start from random values",
        "Use the config.json that belongs to these weights, or save the model again with save_pretrained.",
    )


def _fits(names: Iterable[str], architecture: Architecture) -> bool:
    return any(starred(architecture.inner(name)).removesuffix(".weight") in architecture.linear for name in names)
