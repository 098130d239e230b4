"""The difference of two cells, paired by seed, with everything that an answer says about it."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median

import numpy as np

from rankscope.contract.experiments.answer import Difference, Interval, RowTest, SeedPair
from rankscope.experiments.inputs import TrialData
from rankscope.experiments.statistics.bootstrap import seed_and_row_interval
from rankscope.experiments.statistics.equivalence import tost_p
from rankscope.experiments.statistics.mcnemar import mcnemar
from rankscope.experiments.statistics.paired import paired_test
from rankscope.experiments.statistics.power import seeds_to_exclude, seeds_to_show, smallest_detectable
from rankscope.experiments.trial_table import TrialTable

LEVEL = 0.05
BOOTSTRAP_SEED = 20_240_501
"""Fixed, so that an answer that is computed again has the same numbers."""


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
            collapsed=cell[seed].collapse is not None or reference[seed].collapse is not None,
        )
        for seed in sorted(cell.keys() & reference.keys())
    ]


def difference(
    pairs: Sequence[SeedPair],
    cell: Mapping[int, TrialData],
    reference: Mapping[int, TrialData],
    table: TrialTable,
    margin: float,
) -> Difference:
    """Returns the difference without what needs all comparisons, see `corrected`."""
    usable = [pair for pair in pairs if pair.value is not None and pair.reference_value is not None]
    values = [_of(pair) for pair in usable]
    sound = [_of(pair) for pair in usable if not pair.collapsed]
    test, n = paired_test(values), len(values)
    show = None if test is None else seeds_to_show(margin, test.sd)
    exclude = None if test is None else seeds_to_exclude(test.mean, test.sd, margin)
    return Difference(
        n=n,
        mean=fmean(values) if values else None,
        median=median(values) if values else None,
        sd=test and test.sd,
        interval=test and Interval(low=test.low, high=test.high),
        p=test and test.p,
        p_corrected=None,
        equivalence_p=None if test is None else tost_p(test.mean, test.sd, n, margin),
        smallest_detectable=None if test is None else smallest_detectable(test.sd, n),
        more_seeds_for_margin=None if show is None else max(0, show - n),
        more_seeds_after_correction=None,
        more_seeds_for_equivalence=None if exclude is None else max(0, exclude - n),
        bootstrap=_bootstrap(usable, cell, reference, table),
        row_test=_row_test(usable, cell, reference, table),
        collapsed=sum(pair.collapsed for pair in pairs),
        without_collapsed=fmean(sound) if sound and any(pair.collapsed for pair in pairs) else None,
    )


def corrected(found: Difference, p_corrected: float | None, family: int) -> Difference:
    """Adds the corrected p value, and how many seeds the correction costs."""
    more = None
    is_open = p_corrected is not None and found.p is not None and found.p < LEVEL <= p_corrected
    if is_open and found.mean is not None and found.sd is not None:
        needed = seeds_to_show(found.mean, found.sd, level=LEVEL / family)
        more = None if needed is None else max(1, needed - found.n)
    return found.model_copy(update={"p_corrected": p_corrected, "more_seeds_after_correction": more})


def _of(pair: SeedPair) -> float:
    assert pair.value is not None
    assert pair.reference_value is not None
    return pair.value - pair.reference_value


def _bootstrap(
    pairs: Sequence[SeedPair], cell: Mapping[int, TrialData], reference: Mapping[int, TrialData], table: TrialTable
) -> Interval | None:
    """Returns the interval over seeds and rows, if all trials have scores of the same rows."""
    both = [(table.scores(cell[pair.seed]), table.scores(reference[pair.seed])) for pair in pairs]
    known = [(first, second) for first, second in both if first is not None and second is not None]
    if len(known) < 2 or len(known) < len(pairs) or len({len(scores) for pair in known for scores in pair}) > 1:
        return None
    low, high = seed_and_row_interval(np.stack([first - second for first, second in known]), seed=BOOTSTRAP_SEED)
    return Interval(low=low, high=high)


def _row_test(
    pairs: Sequence[SeedPair], cell: Mapping[int, TrialData], reference: Mapping[int, TrialData], table: TrialTable
) -> RowTest | None:
    if len(pairs) != 1:
        return None
    first, second = table.scores(cell[pairs[0].seed]), table.scores(reference[pairs[0].seed])
    if first is None or second is None or len(first) != len(second):
        return None
    found = mcnemar(first, second)
    return found and RowTest(only_variant=found.only_first, only_reference=found.only_second, p=found.p)
