"""A winner is named only if its lead exceeds the spread over seeds. The p-values equal SciPy's."""

import re

import numpy as np
import pytest
from scipy import stats

from rankscope.comparison.groups import RunGroup
from rankscope.comparison.verdicts import spread, verdict


def group(name: str, *seeds: int) -> RunGroup:
    return RunGroup(name, tuple(range(len(seeds))), seeds)


PAIRED = [group("a", 0, 1, 2, 3), group("b", 3, 2, 1, 0)]
"""The same seeds in another order."""


def shown_p(sentence: str) -> float:
    found = re.search(r"p ([\d.]+)", sentence)
    assert found, sentence
    return float(found[1])


def test_a_group_that_is_ahead_at_every_seed_wins_although_the_seeds_differ_more() -> None:
    # The spread over seeds is ten times the difference; paired by seed, the difference is clear.
    values = [[0.70, 0.75, 0.80, 0.85], [0.845, 0.7935, 0.746, 0.6945]]
    found = verdict(PAIRED, values, lower_is_better=False)
    assert found.winner == 0
    assert shown_p(found.sentence) == pytest.approx(stats.ttest_rel(values[0], values[1][::-1]).pvalue, rel=0.05)
    other_seeds = [PAIRED[0], group("b", 4, 5, 6, 7)]
    unpaired = verdict(other_seeds, values, lower_is_better=False)
    assert unpaired.winner is None
    assert shown_p(unpaired.sentence) == pytest.approx(stats.ttest_ind(*values, equal_var=False).pvalue, abs=0.006)


def test_the_winner_must_beat_every_other_group() -> None:
    groups = [group("a", 0, 1, 2), group("b", 0, 1, 2), group("c", 0, 1, 2)]
    near, ahead, far = [0.80, 0.81, 0.80], [0.801, 0.809, 0.803], [0.5, 0.51, 0.49]
    assert verdict(groups, [near, ahead, far], lower_is_better=False).winner is None
    assert verdict(groups, [far, ahead, far], lower_is_better=False).winner == 1
    assert verdict(groups, [far, ahead, ahead], lower_is_better=True).winner == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[0.8], [0.7]], "One run each: no spread known"),
        ([[0.8, 0.8], [0.7]], "has one run"),
        ([[0.8, 0.8], [None, float("nan")]], "Fewer than two have a value"),
    ],
)
def test_without_a_known_spread_there_is_no_winner(values: list[list[float | None]], words: str) -> None:
    groups = [
        RunGroup(name, tuple(range(len(one))), tuple(range(len(one)))) for name, one in zip("ab", values, strict=True)
    ]
    found = verdict(groups, values, lower_is_better=False)
    assert found.winner is None
    assert words in found.sentence


def test_a_group_of_one_run_is_not_tested_but_can_forbid_a_winner() -> None:
    groups = [group("a", 0, 1, 2), group("b", 0, 1, 2), group("c", 0)]
    several = [[0.9, 0.91, 0.9], [0.5, 0.51, 0.49]]
    below = verdict(groups, [*several, [0.6]], lower_is_better=False)
    assert below.winner == 0
    assert "Not tested: 1 with one run" in below.sentence
    above = verdict(groups, [*several, [0.95]], lower_is_better=False)
    assert above.winner is None
    assert "“c” has one run" in above.sentence


def test_spread_ignores_what_is_not_finite() -> None:
    found = spread([1.0, 2.0, None, float("nan"), 4.0])
    assert found.n == 3
    assert (found.mean, found.sd) == pytest.approx((7 / 3, np.std([1, 2, 4], ddof=1)))
    assert spread([3.0]).sd is None
