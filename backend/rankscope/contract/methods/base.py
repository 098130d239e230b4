"""Method: everything that the rest of the product needs to know about a method.

Nothing outside a method's files knows its name. If you need another property of a method, add an attribute with a default
here, so that the other methods don't have to define it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, Self

from dynamic_rank.schedule.budget import BudgetSchedule
from dynamic_rank.schedule.window import PruningWindow
from rankscope.contract.errors import FieldProblem
from rankscope.contract.parts import Part

RankChanges = Literal["never", "before_training", "on_schedule", "once", "at_any_step"]
"""When the rank of a module changes: never, once before the first step, at the prunings of a schedule, at one step of the
training, or at any step."""
RankRule = Literal["ranks_never_move", "budget_out_of_reach", "module_at_rank_0", "scores_equal", "scores_nan"]
"""Health rules about ranks. Rules about the loss and the hardware apply to every method."""


class Layer(Protocol):
    """The properties of a linear layer that methods use."""

    @property
    def name(self) -> str: ...

    @property
    def out_features(self) -> int: ...

    @property
    def in_features(self) -> int: ...


@dataclass(frozen=True)
class Baseline:
    """A simpler method to compare a finished run with, at its budget."""

    title: str
    description: str
    method: "Method"


class Method(Part):
    """Defaults are those of a method with one fixed rank."""

    label: ClassVar[str]
    """Short name for tables and charts. The form shows the longer title."""
    learning_rate: ClassVar[float] = 3e-3
    """The best learning rate in short runs of the demo (docs/method.md), which the form proposes."""
    artifact: ClassVar[Literal["adapter", "model"]] = "adapter"
    """The result of a run: an adapter, or a complete model if every weight is trained."""

    # ------------------------------------------------------------ ranks

    has_ranks: ClassVar[bool] = True
    """Whether modules have a rank, so that there are rank snapshots, importance scores and a budget."""
    rank_changes: ClassVar[RankChanges] = "never"
    rank_note: ClassVar[str] = "Every module keeps its rank."
    """One sentence about its ranks."""
    budget_field: ClassVar[str | None] = "rank"
    """The option with the mean rank at the end; None if there isn't one."""
    trains_scales: ClassVar[bool] = False
    """Whether each component has a trained scale, which is merged into B at the end."""
    tolerates_excess_rank: ClassVar[bool] = True
    """Whether it can train with a rank above a layer's size. The excess components have no effect."""
    reads_activations: ClassVar[bool] = False
    """Whether it reads the inputs of all modules by the tokens of the input, so that no module may see other tokens."""
    has_raw_scores: ClassVar[bool] = False
    """Whether the raw scores of a step can be recorded next to the smoothed ones."""

    # ------------------------------------------------------------ what can be done with a run

    can_be_steered: ClassVar[bool] = False
    fork_fields: ClassVar[frozenset[str]] = frozenset()
    """Options that a fork may change. The others determine the tensors in a checkpoint."""
    fork_fields_after_pruning: ClassVar[frozenset[str]] = frozenset()
    """Options that a fork may still change when the parent's mask is final."""

    # ------------------------------------------------------------ health

    health_rules: ClassVar[frozenset[RankRule]] = frozenset({"module_at_rank_0", "scores_nan"})
    no_components_step: ClassVar[str] = "Launch again with a larger rank."
    """The next step if a run has no live components."""
    equal_scores_step: ClassVar[str] = "Raise learning_rate or warmup_ratio."
    """The next step if all components have the same score."""

    @property
    def run_name(self) -> str:
        """The method's part in the name of a new run, for example "LoRA 8"."""
        return f"{self.label} {self.end_rank}"

    @property
    def start_rank(self) -> int:
        """Rank of every module at the start."""
        return self.end_rank

    @property
    def end_rank(self) -> int:
        """Planned mean rank of all modules at the end."""
        return int(getattr(self, self.budget_field)) if self.budget_field else 0

    def start_ranks(self, n_modules: int) -> list[int]:
        """Rank of each module at the start."""
        return [self.start_rank] * n_modules

    def end_ranks(self, n_modules: int) -> list[int]:
        """Planned rank of each module at the end, or the mean rank if only that is known."""
        return [self.end_rank] * n_modules

    @property
    def named_modules(self) -> Sequence[str] | None:
        """Full names of the only modules that it can adapt; None if target_modules or the model determines them."""
        return None

    def resolved(self) -> Self:
        """Returns the method with all options set that depend on other options."""
        return self

    def pruning_window(self, total_steps: int) -> PruningWindow | None:  # noqa: ARG002
        """Returns the optimizer steps between which it prunes in a run of `total_steps`; None without a schedule."""
        return None

    def budget_schedule(self, n_modules: int, total_steps: int) -> BudgetSchedule | None:  # noqa: ARG002
        """Returns the schedule of prunings and budgets, before any steering; None without a schedule."""
        return None

    def planned_budgets(self, n_modules: int, total_steps: int) -> list[tuple[int, int]]:  # noqa: ARG002
        """Returns (step, live components from that step on), starting at step 0. For methods without a schedule."""
        return [(0, sum(self.end_ranks(n_modules)))]

    def check_steps(self, total_steps: int) -> None:
        """Raises an error (`refuse`) if a run of `total_steps` optimizer steps is too short for the method."""

    def problems(self, layers: Sequence[Layer], *, batch_size: int, max_length: int) -> list[FieldProblem]:  # noqa: ARG002
        """Returns the options that are invalid for the adapted layers."""
        return []

    def warnings(self, *, learning_rate: float, total_steps: int) -> list[str]:  # noqa: ARG002
        """Returns warnings about options that probably won't work well."""
        return []

    @property
    def rounds_warmup_down(self) -> bool:
        """Whether a fraction of a step in the learning-rate warm-up is rounded down instead of up."""
        return False

    @property
    def counts_parameters(self) -> bool:
        """Whether its budget counts the parameters of components instead of the components."""
        return False

    @property
    def scores_are_shares(self) -> bool:
        """Whether a score is a component's share in its module's update. Then equal float16 scores are exactly equal."""
        return False

    def unmoved(self, step: int, total_steps: int, width: int) -> tuple[str, str] | None:  # noqa: ARG002
        """Returns problem and next step if every module still has all `width` components at `step`; None if that is fine.

        For methods that change ranks without a schedule.
        """
        return None

    @classmethod
    def proposed_learning_rate(cls, options: Mapping[str, object]) -> float:  # noqa: ARG003
        """Returns the learning rate to propose for these options, which may be incomplete."""
        return cls.learning_rate

    @classmethod
    def mean_budget(cls, options: Mapping[str, object]) -> float | None:
        """Returns the mean rank at the end with these options; None if they don't set it. Raises TypeError for a wrong type."""
        rank = options.get(cls.budget_field) if cls.budget_field else None
        return None if rank is None else as_number(rank)

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, object]:
        """Returns the options that keep `mean_rank` components per module."""
        return {cls.budget_field: mean_rank} if cls.budget_field else {}

    @classmethod
    def interval_that_fits(cls, options: Mapping[str, object], total_steps: int) -> int | None:  # noqa: ARG003
        """Returns a shorter prune_interval if that of `options` doesn't fit the steps; otherwise None."""
        return None

    @classmethod
    def baseline(cls, finished: "Method", ranks: Mapping[str, int]) -> Baseline | None:  # noqa: ARG003
        """Returns this method as a baseline for a run that ended with `ranks` (module name -> rank); None if it isn't one."""
        return None

    @classmethod
    def with_ranks(cls, ranks: Mapping[str, int], like: "Method") -> "Method | None":  # noqa: ARG003
        """Returns this method with given ranks (module name -> rank), and what it shares with `like`; None if it can't."""
        return None

    def with_random_score(self) -> "Method | None":
        """Returns this method with a random choice of components, as a control; None if it doesn't choose any."""
        return None

    @classmethod
    def prunes(cls) -> bool:
        """Whether components are pruned during training."""
        return cls.rank_changes in ("on_schedule", "once", "at_any_step")

    @classmethod
    def key(cls) -> str:
        """The value of `name`."""
        return str(cls.model_fields["name"].default)

    @classmethod
    def title(cls) -> str:
        """The name in the form."""
        return str(cls.model_config.get("title", cls.__name__))

    def shared_options(self, *names: str) -> dict[str, object]:
        """Returns the named options that this method has."""
        return {name: getattr(self, name) for name in names if name in type(self).model_fields}


def as_number(option: object) -> float:
    """Returns the number in an option of a draft. Raises TypeError or ValueError if it isn't a number."""
    if not isinstance(option, str | int | float):
        raise TypeError(f"{option!r} is not a number")
    return float(option)
