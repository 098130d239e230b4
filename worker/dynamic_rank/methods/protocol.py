"""RankMethod: the interface between a training program and a method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor, nn
from transformers import TrainerCallback

from ..adapter.targets import AdaptedModule
from ..allocation.snapshot import OnSnapshot
from ..saving.checkpoint import Folder
from ..saving.export import Layout
from ..warning import OnWarning

ModulesToSave = Iterable[str] | str | None
SteerAction = Literal["hold", "release", "freeze", "target"]
"""Hold pruning, release it, freeze the current mask, or change the target rank."""


@dataclass(frozen=True)
class RunContext:
    """Information about the run that a training program passes to a method."""

    is_fork: bool = False
    """The checkpoint is another run's, whose schedule may have been different."""
    keeps_raw_scores: bool = False
    """Snapshots also have the scores before smoothing, if the method smooths them."""
    should_stop: Callable[[], bool] = lambda: False
    """Called during a long `initialize`, which raises Stopped if it returns true."""


class Stopped(Exception):
    """`initialize` was interrupted by a stop request."""


@dataclass(frozen=True)
class ParameterCount:
    """Number of parameters of the adapter (for `full`: of the model), and of a head that is trained fully with it."""

    adapter: int
    head: int

    @property
    def total(self) -> int:
        return self.adapter + self.head


class Batches(Protocol):
    """Batches of model inputs with a length, which can be read more than once, such as a DataLoader."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Mapping[str, Any]]: ...


class RankMethod(Protocol):
    """A fine-tuning method. Call order: set_context, prepare, initialize or load_state, callbacks, bind, train, export.

    Everything except `key`, `options` and `set_context` raises RuntimeError before `prepare`.
    """

    key: str

    @property
    def options(self) -> Mapping[str, Any]:
        """All options with their values, JSON-serialisable."""
        ...

    @property
    def width(self) -> int:
        """Length of the rows of a snapshot: the largest number of components of a module. 0 for `full`."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether the ranks are final, so that an evaluation counts for the best checkpoint."""
        ...

    @property
    def decays_every_parameter(self) -> bool:
        """Whether weight decay applies to every trained parameter; otherwise Trainer excludes biases and norms."""
        ...

    def set_context(self, context: RunContext) -> None:
        """Optional. Without it the run is not a fork and `initialize` can't be stopped."""
        ...

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        """The model to train; `model` itself is changed in place. `modules_to_save` as in `wrap`."""
        ...

    def initialize(self, batches: Batches) -> None:
        """Compute what depends on the data, such as EVA's ranks. Call it before training, but not when resuming.

        `batches` are model inputs on the model's device; the method reads as many as it needs. Raises Stopped if the
        context's `should_stop()` returns true.
        """
        ...

    def bind(self, on_resize: Callable[[], None]) -> None:
        """Set the function that is called on every process after tensors changed their shape."""
        ...

    def check_schedule(self, total_steps: int) -> None:
        """Raise ValueError, with the fix, if the run is too short (in optimizer steps) for the method."""
        ...

    def modules(self) -> list[AdaptedModule]:
        """The adapted modules in forward-pass order: the rows of every snapshot. Empty for `full`."""
        ...

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        """The callbacks to pass to the Trainer."""
        ...

    def check_attached(self, attached: Sequence[TrainerCallback]) -> None:
        """Raise RuntimeError if one of this method's callbacks, without which ranks never change, is not `attached`."""
        ...

    def steer(self, action: SteerAction, target_rank: int | None = None) -> None:
        """Change the pruning during training. ValueError if the method, or its state, does not allow it."""
        ...

    def loss_term(self) -> Tensor | None:
        """The regularisation term of this training batch, a scalar with gradient; None if there is none."""
        ...

    def add_gradients(self, loss_scale: Tensor | None) -> Tensor | None:
        """Add the gradients of a term that has them in closed form, after each backward pass; its value, None without one.

        `loss_scale` is the factor of a gradient scaler. The term counts once per optimizer step.
        """
        ...

    def learning_rate_scales(self) -> list[tuple[list[nn.Parameter], float]]:
        """Groups of parameters, each with the factor by which their learning rate differs from the optimizer's."""
        ...

    def trained_parameters(self) -> ParameterCount:
        """Number of parameters at the start of training."""
        ...

    def kept_parameters(self) -> ParameterCount:
        """Number of parameters of an export with the components that are live since the latest pruning."""
        ...

    def export(self, folder: Folder, layout: Layout = "uniform") -> None:
        """Write the result into `folder`: a plain LoRA in this layout (see `export_lora`), or for `full` a model."""
        ...

    def save_state(self, folder: Folder) -> None:
        """Write the method's state and tensors for `load_state`. Trainer saves the optimizer and the data order."""
        ...

    def load_state(self, folder: Folder) -> None:
        """Restore the state and the tensors, including their shapes, before the optimizer is created."""
        ...
