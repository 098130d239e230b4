"""The answer of an experiment, computed by `rankscope.experiments`. All differences are in the metric's own unit."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rankscope.contract.experiments.design import Collapse, ControlKind, Role, TrialPurpose

ANSWER_FORMAT = 3
"""Incremented when the form or the computation of an answer changes, so that stored ones are computed again."""


class Verdict(StrEnum):
    better = "better"
    """The interval excludes 0 after the correction for all comparisons shown, on the better side."""
    worse = "worse"
    equivalent = "equivalent"
    """Not better or worse, and the whole interval is within the margin."""
    cannot_tell = "cannot_tell"
    """Everything else; always if there is no test."""


class Size(StrEnum):
    """How the interval of a difference relates to the margin."""

    less_than_matters = "less_than_matters"
    """The whole interval is within the margin."""
    more_than_matters = "more_than_matters"
    """The whole interval is beyond the margin."""
    unclear = "unclear"


class AnswerPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Interval(AnswerPart):
    low: float
    high: float


class SeedPair(AnswerPart):
    """The results of both sides at one seed."""

    seed: int
    value: float | None
    reference_value: float | None
    """Null, like `value`, if that trial has no finite result; then the pair is not part of the difference."""
    trial: int
    reference_trial: int
    run_id: str | None
    reference_run_id: str | None
    collapse: Collapse | None
    reference_collapse: Collapse | None

    @property
    def has_collapsed(self) -> bool:
        """Whether one of the two collapsed."""
        return self.collapse is not None or self.reference_collapse is not None


class RowTest(AnswerPart):
    """McNemar's exact test of two single runs: the rows that only one of them gets right."""

    only_variant: int
    only_reference: int
    p: float


class Difference(AnswerPart):
    """A difference of two variants, paired by seed; null fields need two pairs, and a spread between them."""

    n: int
    """Pairs with two finite results."""
    mean: float | None
    median: float | None
    sd: float | None
    """Standard deviation of the paired differences, with n - 1."""
    untested: str | None
    """Why there is no test, as a clause: every trial of a side collapsed, or the seeds have no spread. Null if there is one, or
    fewer than two pairs."""
    interval: Interval | None
    """95 % t interval; if several looks are planned, wider by Pocock's correction, so that 95 % hold over all of them."""
    p: float | None
    """Of the paired t test, two-sided."""
    p_corrected: float | None
    """By Holm's method over the comparisons of its family that are shown, and by Pocock's for the planned looks."""
    equivalence_p: float | None
    """Of the two one-sided t tests against the margin; with one planned look, the interval is within the margin exactly if it is
    below 0.025."""
    smallest_detectable: float | None
    """The smallest true difference that these pairs would have shown with 80 % power, from their standard deviation."""
    more_seeds_for_margin: int | None
    """How many more seeds would show a true difference of the margin with 80 % power; null above 1,000."""
    more_seeds_after_correction: int | None
    """If the interval excludes 0, but not after the correction: how many more seeds would show a difference of this size with
    80 % power at a level of 5 % divided by the number of comparisons."""
    more_seeds_for_equivalence: int | None
    """How many more seeds would put the interval within the margin if mean and spread stay; null if no number is enough."""
    bootstrap: Interval | None
    """95 % interval over seeds and evaluation rows, for planned looks as `interval`; null without scores of the rows."""
    row_test: RowTest | None
    """Only for a single pair with scores that are 0 or 1."""
    collapsed: int
    """Pairs in which a trial collapsed; they count, unless the trial has no finite result."""
    both_collapsed: int
    """Pairs in which both trials collapsed, which makes them alike; then they are never equivalent."""
    without_result: int
    """Pairs in which the variant has no finite result, so that the mean has a choice of its seeds; then it is never better."""
    reference_without_result: int
    """The same for the reference; then the variant is never worse."""
    without_collapsed: float | None
    """Mean over the pairs without a collapsed trial; null if none collapsed."""


class VariantComparison(AnswerPart):
    """One variant against a reference, at one budget on one task."""

    id: str
    task: str
    budget: float
    variant: str
    reference: str
    is_control: bool
    """Whether it belongs to the family of the controls, which are corrected separately."""
    difference: Difference
    verdict: Verdict
    size: Size
    parameter_ratio: float | None
    """Mean kept parameters of the variant, divided by those of the reference."""
    pairs: list[SeedPair]
    text: str
    """The sentence."""


class ChainStep(AnswerPart):
    """One control of a method."""

    kind: ControlKind | None
    title: str
    comparison: str
    """`id` of the comparison of the control with the baseline."""
    to_method: str | None
    """`id` of the comparison of the method with the control."""
    text: str
    """What it says about the cause."""


class Chain(AnswerPart):
    """The controls of one method at one budget on one task, after the comparison that they explain."""

    task: str
    budget: float
    method: str
    comparison: str
    """`id` of the comparison of the method with the baseline."""
    steps: list[ChainStep]


class CollapsedTrial(AnswerPart):
    trial: int
    purpose: TrialPurpose
    task: str
    variant: str
    budget: float
    seed: int
    value: float | None
    reason: Collapse
    run_id: str | None


class SeedValue(AnswerPart):
    seed: int
    value: float | None
    trial: int
    run_id: str | None
    collapse: Collapse | None


class RankAgreement(AnswerPart):
    """Whether the seeds of a cell found the same ranks."""

    modules: list[str]
    mean_ranks: list[float]
    """Of each module, over the seeds."""
    seeds: int
    is_given: bool
    """Whether the ranks were given and not found: all seeds have exactly the same ones, or those of another variant."""
    spearman: float | None
    """Mean over all pairs of seeds. Null if a seed has the same rank in every module, or there is one seed."""
    lowest: float | None
    highest: float | None
    kendall_w: float | None
    p: float | None
    """Share of random permutations of the modules with at least this agreement."""
    spread: float
    """Standard deviation of the ranks among the modules, mean over the seeds."""
    unadapted: float
    """Modules at rank 0, mean over the seeds."""
    text: str


class Cell(AnswerPart):
    task: str
    variant: str
    budget: float
    role: Role
    n: int
    """Trials with a finite result."""
    planned: int
    """All trials of the cell, for the result."""
    mean: float | None
    sd: float | None
    median: float | None
    interval: Interval | None
    mean_without_collapsed: float | None
    """Null if none collapsed."""
    kept_parameters: float | None
    mean_rank: float | None
    """Kept components divided by modules, mean over the seeds: what was really kept."""
    is_winner: bool
    """Whether it is better than the baseline, and nothing in this column has a larger difference."""
    values: list[SeedValue]
    agreement: RankAgreement | None


class TunedRate(AnswerPart):
    learning_rate: float
    value: float | None
    """Mean over the tuning seeds."""
    trials: int


class TunedCell(AnswerPart):
    task: str
    variant: str
    budget: float
    rates: list[TunedRate]
    best: float | None
    is_at_edge: bool
    """Whether the best rate is the lowest or the highest that was tried."""


class AnswerNote(AnswerPart):
    """Something a reviewer should know."""

    severity: Literal["info", "warning"]
    text: str


class Answer(AnswerPart):
    revision: int
    comparisons: list[VariantComparison]
    """Methods with the baseline, the strongest first; then those of the controls."""
    family: int
    """Number of comparisons of methods, over which p values are corrected."""
    control_family: int
    chains: list[Chain]
    cells: list[Cell]
    """By task, budget, and order of the variants in the design."""
    collapsed: list[CollapsedTrial]
    tuning: list[TunedCell]
    notes: list[AnswerNote]
    total_comparisons: int
    """Comparisons of methods in the whole experiment, whatever is selected."""
    missing: int
    """Trials that are planned or running."""
    failed: int
