"""The difference of two cells, paired by seed, with everything that an answer says about it."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median, stdev

import numpy as np
from numpy.typing import NDArray

from rankscope.contract.experiments.answer import Difference, Interval, RowTest, SeedPair
from rankscope.experiments.degenerate import why_collapsed, why_without_spread
from rankscope.experiments.inputs import TrialData
from rankscope.experiments.statistics.bootstrap import seed_and_row_interval
from rankscope.experiments.statistics.equivalence import tost_p
from rankscope.experiments.statistics.mcnemar import mcnemar
from rankscope.experiments.statistics.paired import paired_test, rounding_of
from rankscope.experiments.statistics.power import seeds_to_exclude, seeds_to_show, smallest_detectable
from rankscope.experiments.trial_table import TrialTable

Scores = NDArray[np.float64]

LEVEL = 0.05
BOOTSTRAP_SEED = 20_240_501
"""Fixed, so that recomputing an answer gives the same numbers."""


def pairs_of(cell: Mapping[int, TrialData], reference: Mapping[int, TrialData]) -> list[SeedPair]:
    """Returns the seeds that both have, ascending."""
    return [
        SeedPair(
            seed=seed,
            value=cell[seed].value,
            reference_value=reference[seed].value,
            trial=cell[seed].number,
            reference_trial=reference[seed].number,
            run_id=cell[seed].run_id,
            reference_run_id=reference[seed].run_id,
            collapse=cell[seed].collapse,
            reference_collapse=reference[seed].collapse,
        )
        for seed in sorted(cell.keys() & reference.keys())
    ]


def difference(
    pairs: Sequence[SeedPair],
    cell: Mapping[int, TrialData],
    reference: Mapping[int, TrialData],
    table: TrialTable,
    margin: float,
    names: tuple[str, str],
    level: float = LEVEL,
) -> Difference:
    """Returns the difference without what needs all comparisons, see `corrected`. `names` are of variant and reference.

    `level`: of the intervals and of what could have been shown, below 5 % if more looks are planned.
    """
    usable = [pair for pair in pairs if pair.value is not None and pair.reference_value is not None]
    values = [_of(pair) for pair in usable]
    sound = [_of(pair) for pair in usable if not pair.has_collapsed]
    n = len(values)
    rows = [(table.scores(cell[pair.seed]), table.scores(reference[pair.seed])) for pair in usable]
    collapsed = why_collapsed(usable, variant=names[0], reference=names[1])
    untested = collapsed or why_without_spread(
        [pair.value or 0.0 for pair in usable],
        [pair.reference_value or 0.0 for pair in usable],
        have_other_rows_right=any(_differ(*both) for both in rows),
    )
    test = None if untested else paired_test(values, rounding=_rounding(usable), level=level)
    are_equal = n > 1 and test is None and untested is None
    show = None if test is None else seeds_to_show(margin, test.sd, level=level)
    exclude = None if test is None else seeds_to_exclude(test.mean, test.sd, margin, level=level)
    return Difference(
        n=n,
        mean=fmean(values) if values else None,
        median=median(values) if values else None,
        sd=stdev(values) if n > 1 else None,
        untested=untested,
        interval=Interval(low=0.0, high=0.0) if are_equal else test and Interval(low=test.low, high=test.high),
        p=1.0 if are_equal else test and test.p,
        p_corrected=None,
        equivalence_p=None if test is None else tost_p(test.mean, test.sd, n, margin),
        smallest_detectable=None if test is None else smallest_detectable(test.sd, n, level=level),
        more_seeds_for_margin=None if show is None else max(0, show - n),
        more_seeds_after_correction=None,
        more_seeds_for_equivalence=None if exclude is None else max(0, exclude - n),
        bootstrap=None if collapsed else _bootstrap(rows, level),
        row_test=None if collapsed or n != 1 else _row_test(*rows[0]),
        collapsed=sum(pair.has_collapsed for pair in pairs),
        both_collapsed=sum(pair.collapse is not None and pair.reference_collapse is not None for pair in pairs),
        without_result=sum(pair.value is None for pair in pairs),
        reference_without_result=sum(pair.reference_value is None for pair in pairs),
        without_collapsed=fmean(sound) if sound and any(pair.has_collapsed for pair in pairs) else None,
    )


def corrected(found: Difference, p_corrected: float | None, family: int, looks_factor: float) -> Difference:
    """Adds the corrected p value, and how many seeds the correction costs."""
    more = None
    is_open = p_corrected is not None and found.p is not None and found.p * looks_factor < LEVEL <= p_corrected
    if is_open and found.mean is not None and found.sd is not None:
        needed = seeds_to_show(found.mean, found.sd, level=LEVEL / (family * looks_factor))
        more = None if needed is None else max(1, needed - found.n)
    return found.model_copy(update={"p_corrected": p_corrected, "more_seeds_after_correction": more})


def _of(pair: SeedPair) -> float:
    assert pair.value is not None
    assert pair.reference_value is not None
    return pair.value - pair.reference_value


def _rounding(pairs: Sequence[SeedPair]) -> float:
    return rounding_of([pair.value or 0.0 for pair in pairs], [pair.reference_value or 0.0 for pair in pairs])


def _differ(first: Scores | None, second: Scores | None) -> bool:
    """Whether both have scores of the same rows, and the scores differ."""
    return first is not None and second is not None and len(first) == len(second) and bool((first != second).any())


def _bootstrap(rows: Sequence[tuple[Scores | None, Scores | None]], level: float) -> Interval | None:
    """Returns the interval over seeds and rows, if all trials have scores of the same rows."""
    known = [(first, second) for first, second in rows if first is not None and second is not None]
    if len(known) < 2 or len(known) < len(rows) or len({len(scores) for pair in known for scores in pair}) > 1:
        return None
    low, high = seed_and_row_interval(
        np.stack([first - second for first, second in known]), seed=BOOTSTRAP_SEED, level=level
    )
    return Interval(low=low, high=high)


def _row_test(first: Scores | None, second: Scores | None) -> RowTest | None:
    if first is None or second is None or len(first) != len(second):
        return None
    found = mcnemar(first, second)
    return found and RowTest(only_variant=found.only_first, only_reference=found.only_second, p=found.p)
