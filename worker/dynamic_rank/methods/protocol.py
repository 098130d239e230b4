"""RankMethod: what a training program needs from a method, whichever it is."""

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
    """What a training program passes to a method about the run."""

    is_fork: bool = False
    """The checkpoint is another run's, whose schedule may have been different."""
    keeps_raw_scores: bool = False
    """Snapshots also have the scores before smoothing, if the method smooths them."""
    should_stop: Callable[[], bool] = lambda: False
    """Asked during a long `initialize`, which raises Stopped when it returns true."""


class Stopped(Exception):
    """`initialize` was interrupted by a stop request."""


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of the adapter (for `full`: of the model), and of a head that is trained fully next to it."""

    adapter: int
    head: int

    @property
    def total(self) -> int:
        return self.adapter + self.head


class Batches(Protocol):
    """Batches of model inputs that know their number and may be read more than once, as a DataLoader's."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Mapping[str, Any]]: ...


class RankMethod(Protocol):
    """One way to fine-tune. Order of use: set_context, prepare, initialize or load_state, callbacks, bind, train, export.

    Everything but `key`, `options` and `set_context` needs `prepare` first: RuntimeError otherwise.
    """

    key: str

    @property
    def options(self) -> Mapping[str, Any]:
        """All options with their values, JSON-ready."""
        ...

    @property
    def width(self) -> int:
        """Components of a module that snapshots have room for: the length of their rows. 0 for `full`."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether the ranks are final, so that an evaluation counts for the best checkpoint."""
        ...

    @property
    def decays_every_parameter(self) -> bool:
        """Whether weight decay applies to every trained parameter; otherwise Trainer leaves out biases and norms."""
        ...

    def set_context(self, context: RunContext) -> None:
        """Optional; a method without a context is trained from the start and never asked to stop."""
        ...

    def prepare(self, model: nn.Module, task_type: object = None, modules_to_save: ModulesToSave = None) -> nn.Module:
        """The model to train; `model` itself is changed in place. `modules_to_save` as in `wrap`."""
        ...

    def initialize(self, batches: Batches) -> None:
        """Set up what depends on the data, such as EVA's ranks, before training; not after a resume.

        `batches` are model inputs on the model's device; the method reads as many as it needs. Raises Stopped if the
        context's `should_stop()` turns true.
        """
        ...

    def bind(self, on_resize: Callable[[], None]) -> None:
        """`on_resize` is called on every rank after tensors changed their shape, before the next forward pass."""
        ...

    def check_schedule(self, total_steps: int) -> None:
        """ValueError, with the fix, if the method can't work in this number of optimizer steps."""
        ...

    def modules(self) -> list[AdaptedModule]:
        """The adapted modules in forward-pass order: the rows of every snapshot. Empty for `full`."""
        ...

    def callbacks(
        self, on_snapshot: OnSnapshot | None = None, snapshot_every: int = 1, on_warning: OnWarning | None = None
    ) -> list[TrainerCallback]:
        """The callbacks that the Trainer must be given."""
        ...

    def check_attached(self, attached: Sequence[TrainerCallback]) -> None:
        """RuntimeError if a Trainer with these callbacks lacks one of `callbacks`, without which ranks never move."""
        ...

    def steer(self, action: SteerAction, target_rank: int | None = None) -> None:
        """Change the pruning of a running training. ValueError if the method, or its state, does not allow it."""
        ...

    def loss_term(self) -> Tensor | None:
        """What is added to the loss of this training batch, a scalar with gradient; None for nothing."""
        ...

    def learning_rate_scales(self) -> list[tuple[list[nn.Parameter], float]]:
        """Parameters with a learning rate of their own, as a multiple of the optimizer's."""
        ...

    def trained_parameters(self) -> ParameterCount:
        """Parameters that training starts with."""
        ...

    def kept_parameters(self) -> ParameterCount:
        """Parameters of an export with the components that the latest pruning left live."""
        ...

    def export(self, folder: Folder, layout: Layout = "uniform") -> None:
        """Write what a user takes away: a plain LoRA adapter in this layout (see `export_lora`), or for `full` a model."""
        ...

    def save_state(self, folder: Folder) -> None:
        """Write the state of the method and its tensors, for `load_state` (optimizer and data order are Trainer's)."""
        ...

    def load_state(self, folder: Folder) -> None:
        """Restore `save_state`, shapes included, before the optimizer is made."""
        ...
