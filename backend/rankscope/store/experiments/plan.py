"""ExperimentPlan: which trials an experiment needs next. Pure: uses no session, clock or random numbers.

`initial` gives the first trials, `trial_ended` those that have become possible, and `progress` how far it is. All three are
computed from the design and the trials that exist, so that a repeated call plans nothing twice.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from rankscope.contract.experiments.design import ControlKind, Design, Role, TrialPurpose, TrialStatus, Variant

MOST_TRIALS = 2000
LEARNING_RATE = "learning_rate"
SOURCE_TRIAL = "source_trial"
"""Option of a control: number of the trial whose ranks it gets."""
MOST_EXTENSIONS = 2
"""Rates that are added on each side of the range if the best of a cell is at its edge."""
_HIGHEST_RATE = 1.0
ENDED = frozenset({TrialStatus.done, TrialStatus.failed})
_WITH_SOURCE = frozenset(ControlKind) - {ControlKind.random_score}


class Cell(NamedTuple):
    task: str
    variant: str
    budget: float


@dataclass(frozen=True)
class KnownTrial:
    number: int
    purpose: TrialPurpose
    status: TrialStatus
    cell: Cell
    seed: int
    options: Mapping[str, object]
    value: float | None = None
    """None without a finite result."""
    has_ranks: bool = False


@dataclass(frozen=True)
class NewTrial:
    purpose: TrialPurpose
    cell: Cell
    seed: int
    options: dict[str, float | int] = field(default_factory=dict)
    failure: str | None = None
    """Why it can't run: it is counted as failed from the start."""


@dataclass(frozen=True)
class Progress:
    ended: int
    total: int
    """Without rates that may be added to the range."""
    is_tuned: bool
    is_done: bool


class ExperimentPlan:
    def __init__(self, design: Design) -> None:
        self._design = design
        self._tuned = [one for one in design.variants if one.role != Role.control]
        self._controls = [one for one in design.variants if one.role == Role.control]

    def initial(self) -> list[NewTrial]:
        return self.trial_ended([])

    def trial_ended(self, trials: Sequence[KnownTrial]) -> list[NewTrial]:
        """Returns the trials that are missing now. `trials`: all that exist, ended or not.

        Call it again if one of the new ones can't run: others may depend on it.
        """
        known = {_key(one.purpose, one.cell, one.seed, one.options) for one in trials}
        wanted = self._wanted(trials)
        return [one for one in wanted if _key(one.purpose, one.cell, one.seed, one.options) not in known]

    def progress(self, trials: Sequence[KnownTrial]) -> Progress:
        ended = sum(one.status in ENDED for one in trials)
        tunings = max(len(self._tuning_trials(self._rates(trials))), sum(one.purpose == "tune" for one in trials))
        is_done = ended == len(trials) and not self.trial_ended(trials)
        return Progress(ended, max(self.expected(tunings), len(trials)), self._best(trials) is not None, is_done)

    def expected(self, tuned: int) -> int:
        """Returns the number of all trials, if `tuned` trials for tuning exist. Tuning may add rates."""
        cells = len(self._design.tasks) * len(self._design.budgets)
        tests = cells * sum(len(self._seeds(variant)) for variant in self._design.variants)
        return tests + max(tuned, len(self._tuning_trials(self._first_rates())))

    # ------------------------------------------------------------ stages

    def _wanted(self, trials: Sequence[KnownTrial]) -> list[NewTrial]:
        tuning = self._tuning_trials(self._rates(trials))
        best = self._best(trials)
        return tuning if best is None else [*tuning, *self._tests(best), *self._control_trials(trials, best)]

    def _tuning_trials(self, rates: Sequence[float]) -> list[NewTrial]:
        """The same rates and seeds for every variant."""
        if not self._design.tuning.trials:
            return []
        return [
            NewTrial(TrialPurpose.tune, cell, seed, {LEARNING_RATE: rate})
            for seed in self._design.tuning.seeds
            for rate in rates
            for cell in self._cells(self._tuned)
        ]

    def _tests(self, best: Mapping[Cell, float | None]) -> Iterator[NewTrial]:
        """Seed by seed, so that every comparison has the same seeds while the experiment trains."""
        for seed in self._design.seeds:
            for cell in self._cells(self._tuned):
                yield self._with_rate(NewTrial(TrialPurpose.test, cell, seed), best, cell)

    def _control_trials(self, trials: Sequence[KnownTrial], best: Mapping[Cell, float | None]) -> Iterator[NewTrial]:
        tested = {(one.cell, one.seed): one for one in trials if one.purpose == TrialPurpose.test}
        baseline = self._design.baseline
        for control in self._controls:
            for cell in self._cells([control]):
                of = cell._replace(variant=str(control.of))
                for seed in self._seeds(control):
                    new = NewTrial(TrialPurpose.control, cell, seed)
                    if control.control not in _WITH_SOURCE or baseline is None:
                        yield self._with_rate(new, best, of)
                        continue
                    source = tested.get((of, self._source_seed(control, seed)))
                    if source is None or source.status not in ENDED:
                        continue
                    options: dict[str, float | int] = {SOURCE_TRIAL: source.number}
                    if not source.has_ranks:
                        why = f"Trial {source.number}, whose ranks it needs, ended without ranks."
                        yield NewTrial(TrialPurpose.control, cell, seed, options, why)
                        continue
                    # A plain LoRA with other ranks: at the rate of the baseline.
                    like = cell._replace(variant=baseline.name)
                    yield self._with_rate(NewTrial(TrialPurpose.control, cell, seed, options), best, like)

    # ------------------------------------------------------------ learning rates

    def _rates(self, trials: Sequence[KnownTrial]) -> list[float]:
        """The range of the design, with the rates that were added, and those to be added now."""
        first = self._first_rates()
        tunings = [one for one in trials if one.purpose == TrialPurpose.tune]
        if len(first) < 2 or not tunings:
            return first
        rates = sorted({*first, *(_rate(one.options) for one in tunings)})
        expected = len(self._tuning_trials(rates))
        if len(tunings) < expected or any(one.status not in ENDED for one in tunings):
            return rates
        chosen = {rate for rate in self._best_by_cell(tunings).values() if rate is not None}
        factor = first[1] / first[0]
        if rates[0] in chosen and sum(rate < first[0] for rate in rates) < MOST_EXTENSIONS:
            rates.insert(0, _rounded(rates[0] / factor))
        if rates[-1] in chosen and sum(rate > first[-1] for rate in rates) < MOST_EXTENSIONS:
            higher = _rounded(rates[-1] * factor)
            rates += [higher] if higher <= _HIGHEST_RATE else []
        return rates

    def _first_rates(self) -> list[float]:
        tuning = self._design.tuning
        if not tuning.trials or tuning.lowest_rate is None or tuning.highest_rate is None:
            return []
        if tuning.trials == 1:
            return [_rounded(math.sqrt(tuning.lowest_rate * tuning.highest_rate))]
        step = math.log(tuning.highest_rate / tuning.lowest_rate) / (tuning.trials - 1)
        return [_rounded(tuning.lowest_rate * math.exp(step * at)) for at in range(tuning.trials)]

    def _best(self, trials: Sequence[KnownTrial]) -> dict[Cell, float | None] | None:
        """The best rate of each cell, None if no trial of it had a result; None altogether until tuning has ended."""
        if not self._design.tuning.trials:
            return {}
        tunings = [one for one in trials if one.purpose == TrialPurpose.tune]
        wanted = self._tuning_trials(self._rates(trials))
        if len(tunings) < len(wanted) or any(one.status not in ENDED for one in tunings):
            return None
        return self._best_by_cell(tunings)

    def _best_by_cell(self, tunings: Sequence[KnownTrial]) -> dict[Cell, float | None]:
        """By the mean over the tuning seeds; among equal ones, the one in the middle of the range.

        A rate at which a seed had no result is chosen only if all rates have such seeds.
        """
        sign = -1 if self._design.metric.lower_is_better else 1
        best: dict[Cell, float | None] = {}
        for cell in self._cells(self._tuned):
            values: dict[float, list[float | None]] = {}
            for one in tunings:
                if one.cell == cell:
                    values.setdefault(_rate(one.options), []).append(one.value)
            ranked = []
            for at, rate in enumerate(sorted(values)):
                found = [value for value in values[rate] if value is not None]
                if found:
                    from_centre = abs(at - (len(values) - 1) / 2)
                    is_complete, mean = len(found) == len(values[rate]), sign * sum(found) / len(found)
                    ranked.append((is_complete, mean, -from_centre, rate))
            best[cell] = max(ranked)[3] if ranked else None
        return best

    def _with_rate(self, new: NewTrial, best: Mapping[Cell, float | None], like: Cell) -> NewTrial:
        if not self._design.tuning.trials:
            return new
        rate = best[like]
        if rate is None:
            why = f"No tuning trial of {like.variant} at budget {like.budget:g} had a result."
            return NewTrial(new.purpose, new.cell, new.seed, new.options, why)
        return NewTrial(new.purpose, new.cell, new.seed, new.options | {LEARNING_RATE: rate})

    # ------------------------------------------------------------ cells

    def _cells(self, variants: Sequence[Variant]) -> list[Cell]:
        tasks, budgets = self._design.tasks, self._design.budgets
        return [Cell(task.name, one.name, budget) for task, one, budget in product(tasks, variants, budgets)]

    def _seeds(self, variant: Variant) -> Sequence[int]:
        if variant.control == ControlKind.other_seed_ranks and len(self._design.seeds) < 2:
            return ()
        return self._design.seeds

    def _source_seed(self, control: Variant, seed: int) -> int:
        """The seed whose ranks a control gets: the same one, or the next one."""
        if control.control != ControlKind.other_seed_ranks:
            return seed
        seeds = self._design.seeds
        return seeds[(seeds.index(seed) + 1) % len(seeds)]


def _key(purpose: str, cell: Cell, seed: int, options: Mapping[str, object]) -> tuple[object, ...]:
    """Identifies a trial. Only those for tuning differ in their rate."""
    return (purpose, cell, seed, _rate(options) if purpose == TrialPurpose.tune else None)


def _rate(options: Mapping[str, object]) -> float:
    rate = options.get(LEARNING_RATE)
    return float(rate) if isinstance(rate, int | float) else math.nan


def _rounded(rate: float) -> float:
    """Three digits: exact enough, and equal after being stored and read."""
    return float(f"{rate:.3g}")
