"""Names and shapes of a model's weights, from the headers of its files. Packed 4-bit weights have their unpacked shape."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rankscope.catalog.models.files import ModelFiles, UnusableModel, open_regular
from rankscope.catalog.models.safetensors_header import Tensor, read_header

_QUANT_STATE = ".quant_state.bitsandbytes__"
_MAX_STATE_BYTES = 1 << 16
_MAX_TENSORS = 500_000
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class ModelWeights:
    shapes: Shapes
    packed: frozenset[str]
    """Names of the weights that were quantised with bitsandbytes."""
    size_bytes: int
    dtype: str
    """The type of most of its numbers, as in the files: `BF16`."""

    @property
    def elements(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_weights(files: ModelFiles, names: tuple[str, ...]) -> ModelWeights:
    """Reads the headers of these files. Raises UnusableModel with the name of a damaged file."""
    shapes: dict[str, tuple[int, ...]] = {}
    packed: set[str] = set()
    numbers: Counter[str] = Counter()
    for name in names:
        path = files.folder / name
        _, tensors = read_header(path)
        shapes |= _shapes(path, tensors)
        for tensor in tensors.values():
            numbers[tensor.dtype] += tensor.elements
        packed |= {other.partition(_QUANT_STATE)[0] for other in tensors if _QUANT_STATE in other}
        packed |= {f"{other.removesuffix('.SCB')}.weight" for other in tensors if other.endswith(".SCB")}
        if len(shapes) > _MAX_TENSORS:
            raise UnusableModel(f"has more than {_MAX_TENSORS:,} tensors", "Use a model with fewer, larger tensors.")
    size_bytes = sum(files.regular[name].size for name in names)
    return ModelWeights(shapes, frozenset(packed), size_bytes, numbers.most_common(1)[0][0])


def _shapes(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes without what bitsandbytes stores with a weight: scales and, for 4 bits, the unpacked shape."""
    true = {}
    helpers = set()
    for name, tensor in tensors.items():
        weight, found, _ = name.partition(_QUANT_STATE)
        if found and weight in tensors:
            true[weight] = _packed_shape(path, tensor, weight)
            helpers |= {other for other in tensors if other.startswith(f"{weight}.")}
        elif name.endswith((".SCB", ".weight_format")):
            helpers.add(name)
    return {name: true.get(name, tensor.shape) for name, tensor in tensors.items() if name not in helpers}


def _packed_shape(path: Path, state: Tensor, weight: str) -> tuple[int, ...]:
    with open_regular(path) as file:
        file.seek(state.begin)
        text = file.read(min(state.end - state.begin, _MAX_STATE_BYTES))
    try:
        shape = json.loads(text)["shape"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_shape(weight) from error
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 1 << 32 for size in shape):
        raise _no_shape(weight)
    return tuple(shape)


def _no_shape(weight: str) -> UnusableModel:
    return UnusableModel(
        f"is quantised, but the quantisation state of {weight[:80]!r} has no shape",
        "Quantise and save the model again.",
    )
