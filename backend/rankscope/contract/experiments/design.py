"""The design of an experiment: which cells it has, how they are tuned, and what counts as a difference.

A cell is one variant at one budget on one task. A trial is one training of a cell at one seed (`contract.tables.Trial`).
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Label = Annotated[str, Field(min_length=1, max_length=100)]
Share = Annotated[float, Field(gt=0, lt=1)]


class ExperimentStatus(StrEnum):
    """The state of an experiment. An imported one is done."""

    tuning = "tuning"
    """Trials on the validation part choose the learning rate of each cell."""
    testing = "testing"
    """Trials on the evaluation rows."""
    paused = "paused"
    done = "done"
    stopped = "stopped"
    failed = "failed"


class TrialPurpose(StrEnum):
    tune = "tune"
    """Chooses options of a cell; never part of the result."""
    test = "test"
    control = "control"
    """A test of a variant that separates causes."""


class TrialStatus(StrEnum):
    planned = "planned"
    running = "running"
    """Its run is queued, training, or waits for a resume."""
    done = "done"
    failed = "failed"
    """Ended without a result."""


class Collapse(StrEnum):
    """Why the value of a trial is not that of a trained model."""

    majority = "majority"
    """It always predicts one class, mostly the most frequent one."""
    diverged = "diverged"
    """Its loss or metric became NaN or infinite."""


LARGEST_RESULT = 1e100
"""A metric beyond it has diverged. The square of a larger one may be infinite."""


class Role(StrEnum):
    baseline = "baseline"
    """Every other variant is compared with it, at the same budget on the same task."""
    method = "method"
    control = "control"


class ControlKind(StrEnum):
    """What a control shows. A control is compared with the baseline, like its variant `of`."""

    same_parameters = "same_parameters"
    """The baseline with as many kept parameters: separates the method from the size."""
    found_ranks = "found_ranks"
    """The baseline with the ranks that the same seed found: separates the allocation from the training that found it."""
    other_seed_ranks = "other_seed_ranks"
    """The baseline with the ranks of another seed: what the seeds have in common."""
    permuted_ranks = "permuted_ranks"
    """The found ranks, permuted among modules of equal shape: where the rank is, or only how unequal the ranks are."""
    random_score = "random_score"
    """Pruning by a random score: separates choosing from cutting."""


class DesignPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class ExperimentMetric(DesignPart):
    """The headline metric. All differences and the margin are in its own unit, as it is recorded."""

    name: Annotated[str, Field(min_length=1, max_length=65)]
    title: Label
    """As it is written within a sentence."""
    lower_is_better: bool = False
    in_points: bool = True
    """Whether it is a share from 0 to 1, shown in hundredths ("0.5 points")."""


class ExperimentTask(DesignPart):
    """A task with its model and data."""

    name: Label
    """As trials name it; unique within the experiment."""
    task: str | None = None
    """Name of a task of runs; null for results from elsewhere."""
    model_id: str | None = None
    data_id: str | None = None
    base: dict[str, JsonValue] | None = None
    """The configuration of its runs, besides method and seed; null for results from elsewhere."""
    majority: Share | None = None
    """Share of the most frequent class among the evaluation rows. A trial with exactly this accuracy has collapsed."""
    class_shares: list[Share] = []
    """Share of each class among the evaluation rows; a trial that always predicts one class has exactly its share right."""


class Variant(DesignPart):
    """A method with its options, under the name that tables and sentences show."""

    name: Label
    role: Role = Role.method
    method: str | None = None
    """Name of a method of runs; null for results from elsewhere."""
    options: dict[str, JsonValue] = {}
    control: ControlKind | None = None
    """Only for controls."""
    of: Label | None = None
    """For controls: the variant whose ranks or score it replaces."""
    description: str = ""


class Tuning(DesignPart):
    """How the learning rate was chosen, alike for every variant."""

    trials: Annotated[int, Field(ge=0, le=1000)] = 6
    """Of each cell."""
    seeds: list[int] = []
    """Never seeds of the result."""
    lowest_rate: float | None = None
    highest_rate: float | None = None
    measured_on: Literal["validation", "evaluation", "unknown"] = "unknown"


class Design(DesignPart):
    metric: ExperimentMetric
    tasks: list[ExperimentTask]
    variants: list[Variant]
    budgets: list[float]
    """Mean kept ranks, ascending."""
    seeds: list[int]
    margin: Annotated[float, Field(gt=0)] = 0.005
    """The smallest difference that matters, in the unit of the metric."""
    tuning: Tuning = Tuning(trials=0)
    planned_looks: Annotated[int, Field(ge=1, le=10)] = 1
    """How many times the answer may be looked at before it is final: 2 if more seeds may be added once."""
    used_looks: Annotated[int, Field(ge=0)] = 0
    """How many times seeds were added after the answer had been shown."""
    looked_at: int | None = None
    """The revision whose answer had been shown when seeds were last added: adding more without another look is the same look."""
    protocol: dict[str, str] = {}
    """What else determined the results, as shown on the page: title -> text, for example split, steps, versions."""

    @property
    def baseline(self) -> Variant | None:
        return next((variant for variant in self.variants if variant.role == Role.baseline), None)
