"""Components: the rank-1 components of a wrapped model, per module, and their tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from ..schedule.config import DynamicRankConfig
from .term_count import TermCount

ADAPTER = "default"
# What PEFT puts before a base model's module names in a wrapped model and a saved adapter.
PEFT_PREFIX = "base_model.model."
_ATTRIBUTE = "_rank_components"


@dataclass(eq=False)
class RankLayer:
    """One adapted linear. `kept` are the original indices of the components that it still holds, rising.

    A (r, in), B (out, r), c (r,) with r = len(kept); the update is scaling * B diag(c) A.
    """

    name: str
    lora: Any
    adapter: str
    width: int
    kept: list[int]

    @property
    def A(self) -> nn.Parameter:
        return cast(nn.Parameter, self.lora.lora_A[self.adapter].parametrizations.weight.original)

    @property
    def c(self) -> nn.Parameter:
        return cast(nn.Parameter, self.lora.lora_A[self.adapter].parametrizations.weight[0].c)

    @property
    def B(self) -> nn.Parameter:
        return cast(nn.Parameter, self.lora.lora_B[self.adapter].weight)

    @property
    def scaling(self) -> float:
        return float(self.lora.scaling[self.adapter])

    @property
    def cost(self) -> int:
        """Parameters of one component in an exported adapter: in + out (c is folded away)."""
        return int(self.lora.in_features) + int(self.lora.out_features)

    def resized(self) -> Iterator[tuple[nn.Parameter, int]]:
        """The tensors that shrink with the rank, each with the dimension that counts components."""
        yield self.A, 0
        yield self.c, 0
        yield self.B, 1

    def hold(self, kept: Sequence[int]) -> None:
        """Record that the tensors now hold these components, and bypass the adapter where none is left."""
        self.kept = list(kept)
        fit_layer(self.lora, self.adapter, len(self.kept), (parameter for parameter, _ in self.resized()))


class HasState(Protocol):
    """The allocator of a training, as far as a checkpoint needs it."""

    config: DynamicRankConfig

    def state_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class RestoredState:
    """What a checkpoint holds besides the tensors: the allocator's state (None before training) and the options."""

    allocator: Mapping[str, Any] | None
    options: Mapping[str, Any]


@dataclass(eq=False)
class Components:
    """All layers of one wrapped model, in module order, and what a training of it shares.

    dem_value, regularizer_calls   DEM's latest value, and how often a regulariser was computed
    term       how often the regulariser counts in an optimizer step; None outside of a Trainer
    allocator  what `save_pretrained` into a checkpoint folder saves too; None outside of a Trainer with the callback
    restored   read from a checkpoint by `load_adapter`, until the callback takes it
    """

    layers: list[RankLayer]
    dem_value: Tensor | None = None
    regularizer_calls: int = 0
    term: TermCount | None = None
    allocator: HasState | None = None
    restored: RestoredState | None = None
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = [layer.name for layer in self.layers]

    @property
    def width(self) -> int:
        return self.layers[0].width

    @property
    def is_compacted(self) -> bool:
        return any(len(layer.kept) < layer.width for layer in self.layers)

    def parameters(self) -> Iterator[nn.Parameter]:
        for layer in self.layers:
            for parameter, _ in layer.resized():
                yield parameter


def fit_layer(lora: Any, adapter: str, rank: int, parameters: Iterable[nn.Parameter]) -> None:
    """Tell PEFT's layer that its tensors now have `rank` components; with none left it runs its base layer alone."""
    lora.lora_A[adapter].out_features = rank
    lora.lora_B[adapter].in_features = rank
    # PEFT's forward loops over the active adapters: with none active a rank-0 module runs its base layer alone.
    lora.set_adapter([adapter] if rank else [])
    for parameter in parameters:
        # set_adapter([]) froze them; the optimizer's groups must list the same parameters after a resume.
        parameter.requires_grad_(True)


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside torch.compile's and DistributedDataParallel's shells."""
    while True:
        inner = getattr(model, "_orig_mod", None) or (
            model.module if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel) else None
        )
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def attach(model: nn.Module, layers: list[RankLayer]) -> Components:
    """Remember `layers` on the wrapped model, for `components_of`."""
    components = Components(layers)
    setattr(model, _ATTRIBUTE, components)
    return components


def components_of(model: nn.Module) -> Components:
    """The components of a model made by `wrap`. ValueError if it was not."""
    components = getattr(unwrap(model), _ATTRIBUTE, None)
    if not isinstance(components, Components):
        raise ValueError(
            f"This {type(model).__name__} holds no dynamic-rank components; call dynamic_rank.wrap(model, config) "
            "first and pass on the model that it returns."
        )
    return components


def check_trainable(components: Components) -> None:
    """ValueError if the adapter is gone, merged, frozen or another one is active: its ranks would be those of noise."""
    for layer in components.layers:
        if not layer.kept:
            continue
        if layer.adapter not in layer.lora.lora_A:
            problem, fix = "was deleted", "wrap the base model again"
        elif layer.lora.merged:
            problem, fix = "is merged into the base weights", "call model.unmerge_adapter()"
        elif layer.lora.disable_adapters or layer.adapter not in layer.lora.active_adapters:
            problem, fix = "is not active", f"call model.set_adapter({layer.adapter!r}), or leave disable_adapter()"
        elif not layer.c.requires_grad:
            problem, fix = "is frozen", f"call model.set_adapter({layer.adapter!r})"
        else:
            continue
        raise ValueError(
            f"The adapter {layer.adapter!r} of {layer.name} {problem}, so its components do not train and cannot be "
            f"scored; {fix} before training goes on."
        )


def replace_data(parameter: nn.Parameter, data: Tensor) -> None:
    """Give `parameter` other data, of any shape, without making a new Parameter (the optimizer keeps its key)."""
    fresh = torch.empty(data.shape, dtype=parameter.dtype, device=parameter.device)
    # Own memory: a view into a mapped file may be aligned differently, and some BLAS kernels then round differently.
    fresh.copy_(data)
    resize(parameter, fresh)


def resize(parameter: nn.Parameter, data: Tensor) -> None:
    """Make `data`, of any shape, the data of `parameter` and drop its gradient.

    A graph that is still alive (a loss that the caller holds) keeps the parameter's gradient accumulator, and that one
    expects the old shape: the next backward would fail. Autograd makes a new accumulator where the dtype changes.
    """
    parameter.grad = None
    if data.shape != parameter.shape:
        other = torch.float64 if parameter.dtype != torch.float64 else torch.float32
        parameter.data = torch.empty(0, dtype=other, device=parameter.device)
    parameter.data = data
