"""What the API returns about the linear layers of a model, from which target_modules is chosen."""

from collections import Counter

from pydantic import Field

from rankscope.api.shapes.base import Shape
from rankscope.catalog import LinearModule, ModelEntry

_STACKS = ("encoder", "decoder")


class ModuleShape(Shape):
    """A linear layer of a model."""

    name: str = Field(examples=["encoder.layer.0.attention.self.query"])
    """Names this layer alone in target_modules, whatever the task's head is."""
    stack: str = Field(examples=["encoder"])
    """`encoder` or `decoder` if the name says so; otherwise empty."""
    layer: int | None
    """Number of its block; null outside the blocks. Those are adapted only if target_modules names them."""
    kind: str = Field(examples=["attention.query"])
    """What it is in its block."""
    out_features: int
    in_features: int


class ModuleList(Shape):
    items: list[ModuleShape]


def module_list(entry: ModelEntry) -> ModuleList:
    modules = [*entry.modules, *entry.outside]
    prefix = f"{entry.kind.prefix}." if entry.kind and entry.kind.prefix else ""
    ends = Counter(end for module in modules for end in _ends(module.name))
    return ModuleList(items=[_shape(module, prefix, ends) for module in modules])


def _shape(module: LinearModule, prefix: str, ends: Counter[str]) -> ModuleShape:
    # The model of another task may have another prefix.
    inner = module.name.removeprefix(prefix)
    parts = module.name.split(".")
    return ModuleShape(
        name=inner if ends[inner] == 1 else module.name,
        stack=next((part for part in parts if part in _STACKS), ""),
        layer=module.layer if module.layer >= 0 else None,
        kind=".".join(part for part in module.kind.split(".") if not part.isdigit()) or module.kind,
        out_features=module.out_features,
        in_features=module.in_features,
    )


def _ends(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]
