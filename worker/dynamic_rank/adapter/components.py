"""Components: the rank-1 components of a wrapped model, per module, and their tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..schedule.config import DynamicRankConfig
from .term_count import TermCount

ADAPTER = "default"
# Prefix of the base model's module names in a PEFT model and in a saved adapter.
PEFT_PREFIX = "base_model.model."
_ATTRIBUTE = "_rank_components"


@dataclass(eq=False)
class RankLayer:
    """One adapted linear module and the tensors of its components (Mao et al. 2024, Eq. 6).

    Shapes: A (r, in), B (out, r), c (r,) with r = len(kept). The update of the weight is scaling * B diag(c) A.
    `kept` lists the original indices of the components that the tensors still hold, in ascending order.
    """

    name: str
    lora: Any
    adapter: str
    width: int
    kept: list[int]

    # Bypass nn.Module.__getattr__, which takes ten times as long: every step reads the tensors of all modules several
    # times.
    @property
    def lora_A(self) -> Any:
        return self.lora._modules["lora_A"]._modules[self.adapter]

    @property
    def A(self) -> nn.Parameter:
        return self.lora_A._parameters["weight"]  # type: ignore[no-any-return]

    @property
    def c(self) -> nn.Parameter:
        return self.lora_A._parameters["c"]  # type: ignore[no-any-return]

    @property
    def B(self) -> nn.Parameter:
        return self.lora._modules["lora_B"]._modules[self.adapter]._parameters["B"]  # type: ignore[no-any-return]

    @property
    def is_present(self) -> bool:
        """Whether PEFT's layer still has the adapter."""
        return self.adapter in self.lora._modules["lora_A"]._modules

    @property
    def scaling(self) -> float:
        return float(self.lora.scaling[self.adapter])

    @property
    def cost(self) -> int:
        """Number of parameters of one component in an exported adapter: in + out (c is folded into B)."""
        return int(self.lora.in_features) + int(self.lora.out_features)

    def resized(self) -> Iterator[tuple[nn.Parameter, int]]:
        """The tensors whose size depends on the rank, each with its component dimension."""
        yield self.A, 0
        yield self.c, 0
        yield self.B, 1

    def hold(self, kept: Sequence[int]) -> None:
        """Record which components the tensors now hold. If there are none, the base layer runs alone."""
        self.kept = list(kept)
        fit_layer(self.lora, self.adapter, len(self.kept), (parameter for parameter, _ in self.resized()))


class HasState(Protocol):
    """The part of an allocator that a checkpoint needs."""

    config: DynamicRankConfig

    def state_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class RestoredState:
    """A checkpoint's state without the tensors: that of the allocator (None before training) and the options."""

    allocator: Mapping[str, Any] | None
    options: Mapping[str, Any]


@dataclass(eq=False)
class Components:
    """All adapted layers of a wrapped model, in module order, and state shared by the parts of its training.

    dem_value          latest value of DEM
    regularizer_calls  number of times that a regulariser was computed
    is_term_due        whether a term that `RankMethod.add_gradients` adds has yet to count in this optimizer step
    term               makes the regulariser count once per optimizer step; None outside a Trainer
    allocator          saved by `save_pretrained` into a checkpoint folder; None outside a Trainer with the callback
    restored           state that `load_adapter` read from a checkpoint, until the callback uses it
    """

    layers: list[RankLayer]
    dem_value: Tensor | None = None
    regularizer_calls: int = 0
    is_term_due: bool = False
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
    """Update PEFT's layer to tensors of `rank` components. At rank 0 it runs its base layer alone."""
    lora.lora_A[adapter].out_features = rank
    lora.lora_B[adapter].in_features = rank
    # PEFT's forward pass loops over the active adapters, so a layer without one runs its base layer alone.
    lora.set_adapter([adapter] if rank else [])
    for parameter in parameters:
        # set_adapter([]) froze them, but after a resume the optimizer's groups must contain the same parameters.
        parameter.requires_grad_(True)


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside the wrappers of torch.compile, DistributedDataParallel and DataParallel."""
    while True:
        inner = getattr(model, "_orig_mod", None) or (
            model.module if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel) else None
        )
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def attach(model: nn.Module, layers: list[RankLayer]) -> Components:
    """Store `layers` on the wrapped model, where `components_of` finds them."""
    components = Components(layers)
    setattr(model, _ATTRIBUTE, components)
    return components


def components_of(model: nn.Module) -> Components:
    """The components of a model that was made by `wrap`. ValueError for any other model."""
    components = getattr(unwrap(model), _ATTRIBUTE, None)
    if not isinstance(components, Components):
        raise ValueError(
            f"This {type(model).__name__} has no dynamic-rank components; call dynamic_rank.wrap(model, config) "
            "first and use the model that it returns."
        )
    return components


def check_trainable(components: Components, *, all_layers: bool = True) -> None:
    """ValueError if the adapter was deleted, or is merged, frozen or inactive: its scores would be meaningless.

    PEFT does these things to all layers at once, so a step can look at one.
    """
    for layer in components.layers if all_layers else components.layers[:1]:
        if not layer.kept:
            continue
        if not layer.is_present:
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
            f"The adapter {layer.adapter!r} of {layer.name} {problem}, so its components do not train and can't be "
            f"scored; {fix} before you continue training."
        )


def replace_data(parameter: nn.Parameter, data: Tensor) -> None:
    """Copy `data`, of any shape, into `parameter`. The Parameter object stays the same, so the optimizer still finds it."""
    fresh = torch.empty(data.shape, dtype=parameter.dtype, device=parameter.device)
    # Copy: a view into a memory-mapped file may be aligned differently, and some BLAS kernels then round differently.
    fresh.copy_(data)
    resize(parameter, fresh)


def resize(parameter: nn.Parameter, data: Tensor) -> None:
    """Set the data of `parameter` to `data`, of any shape, and drop its gradient.

    A graph that still exists (the caller holds a loss) keeps the parameter's gradient accumulator, which expects the old
    shape, so the next backward pass would fail. Changing the dtype makes autograd create a new accumulator.
    """
    parameter.grad = None
    if data.shape != parameter.shape:
        other = torch.float64 if parameter.dtype != torch.float64 else torch.float32
        parameter.data = torch.empty(0, dtype=other, device=parameter.device)
    parameter.data = data
