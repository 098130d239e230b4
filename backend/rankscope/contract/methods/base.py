"""Method: everything that the rest of the product asks a method about itself.

Nothing outside a method's own files knows its name. A question that is missing here becomes a new attribute with a
default, so that the other methods don't have to answer it.
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
"""Health rules about ranks; those about loss and machine apply to every method."""


class Layer(Protocol):
    """A linear layer of the model, as far as methods look at it."""

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
    """Short name for tables and charts; the form shows the longer title."""
    learning_rate: ClassVar[float] = 3e-3
    """The rate at which this method learned best in short runs of the demo (docs/method.md); the form proposes it."""
    artifact: ClassVar[Literal["adapter", "model"]] = "adapter"
    """What a finished run leaves: an adapter, or a whole model because every weight was trained."""

    # ------------------------------------------------------------ ranks

    has_ranks: ClassVar[bool] = True
    """Whether modules have a rank, so that there are rank snapshots, importance scores and a budget."""
    rank_changes: ClassVar[RankChanges] = "never"
    rank_note: ClassVar[str] = "Every module keeps its rank."
    """How its ranks behave, in one sentence."""
    budget_field: ClassVar[str | None] = "rank"
    """The option that is the mean rank kept at the end; None if there isn't one."""
    trains_scales: ClassVar[bool] = False
    """Whether each component has a trained scale, which is folded into B at the end."""
    tolerates_excess_rank: ClassVar[bool] = True
    """Whether it trains with a rank above a layer's size. The components above the size add nothing."""
    has_raw_scores: ClassVar[bool] = False
    """Whether the raw scores of a step can be recorded next to the smoothed ones."""

    # ------------------------------------------------------------ what can be done with a run

    can_be_steered: ClassVar[bool] = False
    fork_fields: ClassVar[frozenset[str]] = frozenset()
    """Options that a fork may change. The other ones determine what a checkpoint's tensors are."""
    fork_fields_after_pruning: ClassVar[frozenset[str]] = frozenset()
    """Those of them that a fork may still change when the parent's mask is final."""

    # ------------------------------------------------------------ health

    health_rules: ClassVar[frozenset[RankRule]] = frozenset({"module_at_rank_0", "scores_nan"})
    keep_more: ClassVar[str] = "Launch again with a larger rank."
    """What to do when no component is left."""
    tell_scores_apart: ClassVar[str] = "Raise learning_rate or warmup_ratio."
    """What to do when all components have the same score."""

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
        """Planned rank of each module at the end; the mean where only that is known."""
        return [self.end_rank] * n_modules

    @property
    def named_modules(self) -> Sequence[str] | None:
        """The only modules that it can adapt, by full name; None if target_modules, or the model, decides."""
        return None

    def resolved(self) -> Self:
        """The same method with the options filled in that follow from other options."""
        return self

    def pruning_window(self, total_steps: int) -> PruningWindow | None:  # noqa: ARG002
        """Between which steps it prunes in a run of `total_steps` optimizer steps; None without a schedule."""
        return None

    def budget_schedule(self, n_modules: int, total_steps: int) -> BudgetSchedule | None:  # noqa: ARG002
        """When it prunes and how many components stay, before the run is steered; None without a schedule."""
        return None

    def planned_budgets(self, n_modules: int, total_steps: int) -> list[tuple[int, int]]:  # noqa: ARG002
        """(step, live components from then on), from step 0 on. For methods without a schedule."""
        return [(0, sum(self.end_ranks(n_modules)))]

    def check_steps(self, total_steps: int) -> None:
        """Refuses a run of `total_steps` optimizer steps that is too short for the method (`refuse`)."""

    def problems(self, layers: Sequence[Layer], *, batch_size: int, max_length: int) -> list[FieldProblem]:  # noqa: ARG002
        """Options that can't work with the layers to adapt."""
        return []

    def warnings(self, *, learning_rate: float, total_steps: int) -> list[str]:  # noqa: ARG002
        """Options that work, but probably not well."""
        return []

    @property
    def rounds_warmup_down(self) -> bool:
        """Whether a fraction of a step in the learning-rate warm-up is rounded down instead of up."""
        return False

    @property
    def scores_are_shares(self) -> bool:
        """Whether a score is a component's share of its module's update; equal float16 scores are then really equal."""
        return False

    def unmoved(self, step: int, total_steps: int, width: int) -> tuple[str, str] | None:  # noqa: ARG002
        """What is wrong and what to do if every module still has all `width` components at `step`; None if nothing is.

        For methods that change ranks without a schedule.
        """
        return None

    @classmethod
    def own_rate(cls, options: Mapping[str, object]) -> float:  # noqa: ARG003
        """The learning rate to propose for these options, which may be incomplete."""
        return cls.learning_rate

    @classmethod
    def mean_budget(cls, options: Mapping[str, object]) -> float | None:
        """Mean rank kept at the end with these options; None where they do not say. TypeError for a wrong type."""
        rank = options.get(cls.budget_field) if cls.budget_field else None
        return None if rank is None else as_number(rank)

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, object]:
        """The options that keep `mean_rank` components per module."""
        return {cls.budget_field: mean_rank} if cls.budget_field else {}

    @classmethod
    def interval_that_fits(cls, options: Mapping[str, object], total_steps: int) -> int | None:  # noqa: ARG003
        """A shorter prune_interval if that of `options` doesn't fit the steps; None if nothing has to change."""
        return None

    @classmethod
    def baseline(cls, finished: "Method", ranks: Mapping[str, int]) -> Baseline | None:  # noqa: ARG003
        """This method as a baseline for a run that ended with `ranks` (module name -> rank); None if it isn't one."""
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
        """Those of the named options that this method has."""
        return {name: getattr(self, name) for name in names if name in type(self).model_fields}


def as_number(option: object) -> float:
    """The number in an option of a draft. TypeError or ValueError if there is none."""
    if not isinstance(option, str | int | float):
        raise TypeError(f"{option!r} is not a number")
    return float(option)
