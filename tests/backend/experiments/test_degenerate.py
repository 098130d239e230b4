"""Results that only look certain: collapsed trials, seeds without a spread, diverged trials that are left out."""

import html
from collections.abc import Sequence

import pytest

from rankscope.contract.experiments.answer import Answer, VariantComparison, Verdict
from rankscope.contract.experiments.design import Collapse, ControlKind
from rankscope.experiments.compute import compute
from rankscope.exports.experiment_report import experiment_report
from tests.backend.experiments.conftest import small

SEEDS = range(5)
SOUND = [0.80, 0.81, 0.79, 0.805, 0.815]
"""Results that vary by seed."""


def collapsed(*names: str, seeds: Sequence[int] = SEEDS) -> dict[tuple[str, int], Collapse]:
    return {(name, seed): Collapse.majority for name in names for seed in seeds}


def only(answer: Answer) -> VariantComparison:
    (found,) = answer.comparisons
    return found


def assert_untested(found: VariantComparison) -> None:
    known = found.difference
    assert found.verdict == Verdict.cannot_tell
    assert (known.interval, known.p, known.p_corrected, known.equivalence_p) == (None, None, None, None)
    assert (known.smallest_detectable, known.more_seeds_for_margin, known.more_seeds_for_equivalence) == (None,) * 3


@pytest.mark.parametrize("has_rows", [False, True])
def test_trials_that_all_collapsed_can_not_tell(has_rows: bool) -> None:
    scores = {(name, seed): [1.0, 0.0] for name in ("plain", "new") for seed in SEEDS} if has_rows else None
    given = small({"plain": [0.5] * 5, "new": [0.5] * 5}, collapsed=collapsed("plain", "new"), scores=scores)
    answer = compute(given)
    found = only(answer)
    assert_untested(found)
    assert found.difference.bootstrap is None
    assert found.text == (
        "At mean rank 2, new and plain differ by 0.00 points (5 seeds): cannot tell, because every trial of new and of plain "
        "collapsed (it always predicts one class)."
    )
    assert answer.family == 0
    assert (
        "nothing can be said about: plain at mean rank 2 on reviews, new at mean rank 2 on reviews"
        in answer.notes[0].text
    )
    assert [cell.interval for cell in answer.cells] == [None, None]
    assert not any(cell.is_winner for cell in answer.cells)
    assert html.escape(found.text) in experiment_report("E", "", given.design, answer)


@pytest.mark.parametrize("name", ["plain", "new"])
def test_a_side_that_collapsed_at_every_seed_can_not_tell(name: str) -> None:
    values = {"plain": SOUND, "new": SOUND} | {name: [0.5] * 5}
    found = only(compute(small(values, collapsed=collapsed(name))))
    assert_untested(found)
    assert found.text.endswith(f"cannot tell, because every trial of {name} collapsed (it always predicts one class).")
    alone = only(compute(small({"plain": [0.8], "new": [0.5]}, collapsed=collapsed("new", seeds=[0]))))
    assert alone.text.endswith("every trial of new collapsed (it always predicts one class).")


def test_a_control_of_collapsed_trials_explains_nothing() -> None:
    values = {"plain": SOUND, "new": SOUND[::-1], "random": [0.5] * 5}
    controls = {"random": (ControlKind.random_score, "new")}
    (chain,) = compute(small(values, controls=controls, collapsed=collapsed("random"))).chains
    assert chain.steps[0].text.endswith(": every trial of random collapsed (it always predicts one class).")


def test_seeds_at_which_both_collapsed_do_not_make_two_variants_equivalent() -> None:
    values = {"plain": [*[0.5] * 4, 0.80], "new": [*[0.5] * 4, 0.804]}
    found = only(compute(small(values, collapsed=collapsed("plain", "new", seeds=range(4)))))
    assert found.difference.p is not None
    assert found.verdict == Verdict.cannot_tell
    assert "because both collapsed at 4 seeds, which makes them equal without a trained model" in found.text
    assert only(compute(small(values))).verdict == Verdict.equivalent


def test_results_that_are_the_same_at_every_seed_can_not_tell() -> None:
    for new in (0.5, 0.9):
        found = only(compute(small({"plain": [0.5] * 5, "new": [new] * 5})))
        assert_untested(found)
        assert "cannot tell, because every seed gave the same results" in found.text


def test_a_difference_that_is_the_same_at_every_seed_can_not_tell() -> None:
    found = only(compute(small({"plain": SOUND, "new": [value + 0.02 for value in SOUND]})))
    assert_untested(found)
    assert found.text.endswith(
        "cannot tell, because the difference is the same at every seed, so its spread is unknown."
    )


def test_equal_results_that_vary_by_seed_are_equivalent_unless_their_rows_differ() -> None:
    found = only(compute(small({"plain": SOUND, "new": SOUND})))
    assert (found.verdict, found.difference.p, found.difference.equivalence_p) == (Verdict.equivalent, 1.0, None)
    assert found.text.endswith(": equivalent: both have the same result at every seed.")
    rows = {0: [1.0, 0.0, 0.0, 0.0], 1: [1.0, 1.0, 0.0, 0.0]}
    same = {(name, seed): row for name in ("plain", "new") for seed, row in rows.items()}
    values = {"plain": [0.25, 0.5], "new": [0.25, 0.5]}
    assert only(compute(small(values, scores=same))).verdict == Verdict.equivalent
    found = only(compute(small(values, scores=same | {("new", 0): [0.0, 0.0, 0.0, 1.0]})))
    assert_untested(found)
    assert "the results are equal, but not the rows that are right" in found.text


def test_diverged_trials_never_make_their_variant_better_or_equivalent() -> None:
    high = [value + 0.05 + 0.001 * (seed % 2) for seed, value in enumerate(SOUND)]
    close = [value + 0.0005 * (-1) ** seed for seed, value in enumerate(SOUND)]
    for name in ("plain", "new"):
        lost = {(name, 0): Collapse.diverged, (name, 3): Collapse.diverged}

        def without(values: Sequence[float], variant: str, name: str = name) -> list[float | None]:
            return [None if variant == name and seed in (0, 3) else value for seed, value in enumerate(values)]

        for plain, new, reached in (
            (SOUND, high, Verdict.better),
            (high, SOUND, Verdict.worse),
            (SOUND, close, Verdict.equivalent),
        ):
            assert only(compute(small({"plain": plain, "new": new}))).verdict == reached
            values = {"plain": without(plain, "plain"), "new": without(new, "new")}
            found = only(compute(small(values, collapsed=lost)))
            favours_the_other = (name, reached) in (("plain", Verdict.better), ("new", Verdict.worse))
            assert found.verdict == (reached if favours_the_other else Verdict.cannot_tell)
            told = f"because {name} diverged at 2 seeds, and only the others can be compared"
            assert (told in found.text) is not favours_the_other
    everything = {("new", seed): Collapse.diverged for seed in SEEDS}
    found = only(compute(small({"plain": SOUND, "new": [None] * 5}, collapsed=everything)))
    assert found.text == (
        "At mean rank 2, new can't be compared with plain: at every seed that they have in common, a trial diverged."
    )
