"""What the API returns for a comparison of runs."""

from typing import Literal

from rankscope.api.shapes.base import Number, Shape
from rankscope.api.shapes.runs import Relative, RunSummary
from rankscope.contract.events import Module


class ConfigDifference(Shape):
    field: str
    values: list[object]
    """One per run, in the requested order; null if the run has no such field."""


class CautionShape(Shape):
    """Why a difference between the runs may not be due to their methods."""

    kind: Literal["task", "model", "data", "split", "evaluation", "budget", "length", "unfinished", "same_seed"]
    title: str
    detail: str
    next_step: str
    values: list[str]
    """What differs, for each run in the requested order."""


class GroupShape(Shape):
    """Runs that differ only in their seed, or a single run."""

    name: str
    run_ids: list[str]
    seeds: list[int]


class GroupSpread(Shape):
    """A metric over the runs of a group."""

    n: int
    """Runs with a finite value."""
    mean: float | None
    sd: float | None
    """Standard deviation; null for fewer than two runs."""


class MetricVerdict(Shape):
    """A metric of every group, and whether one is ahead beyond the spread over seeds."""

    name: str
    groups: list[GroupSpread]
    winner: int | None
    """Index of the group that is ahead of every other one: two-sided t-tests at 5 %, paired by seed where the seeds are equal."""
    sentence: str


class RunCost(Shape):
    run_id: str
    kept_parameters: int | None
    live_parameters: int | None
    """Of the adapter now, by its ranks."""
    trained_s: float | None
    """Time on workers, without waiting."""
    peak_memory_bytes: float | None
    """Of the GPU if it was measured, otherwise of the training process."""


class Comparison(Shape):
    runs: list[RunSummary]
    groups: list[GroupShape]
    differences: list[ConfigDifference]
    cautions: list[CautionShape]
    """The most serious first."""
    costs: list[RunCost]
    best: list[MetricVerdict]
    """By the best value of each run, after its final mask."""
    last: list[MetricVerdict]
    """By the last value of each run."""


class ComparedCurveShape(Shape):
    """One metric of a group over the axis. Values have six significant digits."""

    group: int
    name: str
    x: list[float]
    values: list[Number]
    """Of the run, or the mean over the runs of the group."""
    sd: list[Number] | None
    """Standard deviation over the runs of the group; NaN where only one has a value. Null for a single run."""
    n: list[int] | None
    """How many runs have a value. Null for a single run."""
    total_points: int


class UnplacedRun(Shape):
    run_id: str
    reason: str


class ComparedCurves(Shape):
    axis: Literal["step", "progress", "time", "live_parameters", "rows", "tokens"]
    groups: list[GroupShape]
    curves: list[ComparedCurveShape]
    unplaced: list[UnplacedRun]
    """Runs without a position on this axis."""


class RankDifferenceShape(Shape):
    """The ranks of two runs at shared positions, over the modules of both.

    `ranks_a`, `ranks_b`: base64 of little-endian uint16[positions, modules]; 65535: the run doesn't adapt the module.
    """

    align: Literal["step", "progress", "budget"]
    modules: list[Module]
    width_a: int
    width_b: int
    positions: list[float]
    """Steps, shares of the planned steps, or live components, in the order of the training."""
    steps_a: list[int]
    """The step of the snapshot that is shown at each position."""
    steps_b: list[int]
    live_a: list[int]
    live_b: list[int]
    ranks_a: str
    ranks_b: str
    shared_modules: int
    """Modules that both runs adapt."""
    spearman: list[Number]
    """Rank correlation over the shared modules; NaN where one run gives all of them the same rank."""
    kendall: list[Number]
    """Kendall's tau-b, in the same way."""


class RunForest(Shape):
    """The trees of forks that the runs belong to, parents before children."""

    items: list[Relative]
    is_complete: bool
