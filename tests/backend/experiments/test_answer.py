"""Answers: the reference table of the study, verdicts, controls and sentences."""

import html
from collections import defaultdict
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from rankscope.contract.experiments.answer import Answer, Size, Verdict
from rankscope.contract.experiments.design import Collapse, ControlKind, ExperimentMetric, TrialPurpose
from rankscope.experiments.compute import compute
from rankscope.experiments.importing.read import Imported
from rankscope.experiments.tables import as_text, paper_table
from rankscope.exports.experiment_report import experiment_report
from tests.backend.experiments.conftest import as_input, by_name, small

REFERENCE = [
    ("rt", "dynamic_rank", -0.0015, -0.0051, 0.0020),
    ("rt", "dynamic_rank zero_b sensitivity", 0.0058, -0.0019, 0.0136),
    ("rt", "dynamic_rank zero_b random", -0.0212, -0.0281, -0.0143),
    ("rt", "full", 0.0106, 0.0035, 0.0176),
    ("r8", "dynamic_rank zero_b", 0.0024, 0.0011, 0.0037),
]
"""Task, variant, mean and 95 % interval of the difference to LoRA at mean rank 2."""


@pytest.mark.parametrize(("task", "variant", "mean", "low", "high"), REFERENCE)
def test_differences_of_the_study_are_those_of_its_table(
    study_answer: Answer, task: str, variant: str, mean: float, low: float, high: float
) -> None:
    found = by_name(study_answer, task, 2, variant).difference
    assert found.interval is not None
    rounded = [round(value, 4) for value in (found.mean or 0.0, found.interval.low, found.interval.high)]
    assert rounded == [mean, low, high]
    assert found.n == 5


def test_every_number_of_the_study_equals_another_computation(study: Imported, study_answer: Answer) -> None:
    cells: dict[tuple[str, float, str], dict[int, float]] = defaultdict(dict)
    for trial in study.trials:
        if trial.purpose != TrialPurpose.tune:
            assert trial.value is not None
            cells[trial.line.task, trial.line.budget, trial.line.variant][trial.line.seed] = trial.value
    assert len(study_answer.cells) == len(cells)
    for cell in study_answer.cells:
        values = list(cells[cell.task, cell.budget, cell.variant].values())
        described = stats.describe(values)
        expected = (described.mean, described.variance**0.5, np.median(values))
        assert (cell.mean, cell.sd, cell.median) == pytest.approx(expected)
        assert cell.n == described.nobs
    p_values = {}
    for found in study_answer.comparisons:
        one, other = (cells[found.task, found.budget, name] for name in (found.variant, found.reference))
        seeds = sorted(one.keys() & other.keys())
        test = stats.ttest_rel([one[seed] for seed in seeds], [other[seed] for seed in seeds])
        interval = test.confidence_interval(0.95)
        assert found.difference.interval is not None
        assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx(tuple(interval))
        assert found.difference.p == pytest.approx(test.pvalue)
        p_values[found.id] = (found.is_control, test.pvalue)
    families: dict[bool, list[tuple[float, str]]] = defaultdict(list)
    for name, (is_control, p) in p_values.items():
        families[is_control].append((p, name))
    corrected = {found.id: found.difference.p_corrected for found in study_answer.comparisons}
    for family in families.values():
        highest = 0.0
        for place, (p, name) in enumerate(sorted(family)):
            highest = max(highest, min(1.0, p * (len(family) - place)))
            assert corrected[name] == pytest.approx(highest)


def test_first_row_can_not_tell_and_the_last_is_better_by_less_than_matters(study: Imported) -> None:
    first = by_name(compute(as_input(study, task="rt", budget=2.0, variants=["dynamic_rank"])), "rt", 2, "dynamic_rank")
    assert (first.verdict, first.size) == (Verdict.cannot_tell, Size.unclear)
    assert first.text == (
        "At mean rank 2 on rt, dynamic_rank is 0.15 points below lora (95 % interval -0.51 to +0.20, 5 seeds): cannot tell: "
        "the smallest difference that these seeds could have shown is 0.48 points; 1 more seed would show that they are "
        "equivalent within 0.5 points, if mean and spread stay."
    )
    alone = compute(as_input(study, task="r8", budget=2.0, variants=["dynamic_rank zero_b"]))
    last = by_name(alone, "r8", 2, "dynamic_rank zero_b")
    assert (last.verdict, last.size) == (Verdict.better, Size.less_than_matters)
    assert last.text.endswith("5 seeds): better, but by less than the 0.5 points that matter.")
    (winner,) = [cell for cell in alone.cells if cell.is_winner]
    assert winner.variant == "dynamic_rank zero_b"


def test_the_correction_covers_what_is_shown_and_says_so(study: Imported, study_answer: Answer) -> None:
    whole = by_name(study_answer, "r8", 2, "dynamic_rank zero_b")
    assert whole.verdict == Verdict.equivalent
    narrow = compute(as_input(study, task="r8", budget=2.0))
    assert narrow.family < study_answer.family == study_answer.total_comparisons == narrow.total_comparisons
    assert any("comparisons are shown" in note.text for note in narrow.notes)
    open_ = by_name(study_answer, "rt", 2, "full")
    assert "not after the correction for" in open_.text


def test_collapsed_trials_of_the_study_are_named_and_counted(study_answer: Answer) -> None:
    results = [each for each in study_answer.collapsed if each.purpose != TrialPurpose.tune]
    assert {(each.task, each.variant, each.budget, each.seed) for each in results} == {
        *(("rt", name, 1.0, seed) for name in ("lora_shrink", "lora_shrink (global)") for seed in (1, 2)),
        ("rt", "dynamic_rank zero_b norm 4x", 1.0, 1),
        ("r8", "lora feed-forward", 2.0, 0),
    }
    found = by_name(study_answer, "rt", 1, "lora_shrink")
    assert found.text.endswith(". At 2 seeds, a trial collapsed; without them: -2.53 points.")
    (cell,) = [
        each for each in study_answer.cells if (each.task, each.variant, each.budget) == ("rt", "lora_shrink", 1)
    ]
    assert cell.mean is not None
    assert cell.median is not None
    assert cell.mean_without_collapsed is not None
    assert cell.mean < cell.median < cell.mean_without_collapsed + 0.02


def test_agreement_is_found_for_the_scores_that_have_it(study_answer: Answer) -> None:
    of = {cell.variant: cell.agreement for cell in study_answer.cells if (cell.task, cell.budget) == ("rt", 2)}
    norm, random, hand, same = (
        of[name] for name in ("dynamic_rank zero_b norm", "dynamic_rank zero_b random", "lora attention", "lora")
    )
    assert norm is not None
    assert norm.p is not None
    assert norm.p < 0.001
    assert norm.modules[0] == "encoder.layer.0.attention.self.query"
    assert sum(norm.mean_ranks) / 36 == pytest.approx(2)
    assert random is not None
    assert random.p is not None
    assert random.p > 0.05
    assert hand is not None
    assert hand.text == "All seeds have the same ranks: they were given, not found."
    assert same is not None
    assert (same.spread, same.spearman) == (0.0, None)


def test_controls_are_a_chain_that_separates_causes() -> None:
    kinds = {
        "random": (ControlKind.random_score, "adaptive"),
        "found": (ControlKind.found_ranks, "adaptive"),
        "big": (ControlKind.same_parameters, "adaptive"),
    }
    noise = np.array([0.0, 0.0004, -0.0003, 0.0002, -0.0001])
    values = {
        "plain": [0.8] * 5,
        "adaptive": (0.82 + noise).tolist(),
        "random": (0.79 - noise).tolist(),
        "found": (0.8005 + noise[::-1]).tolist(),
        "big": (0.81 + 2 * noise).tolist(),
    }
    answer = compute(small(values, controls=kinds))
    (chain,) = answer.chains
    assert [step.kind for step in chain.steps] == [
        ControlKind.same_parameters,
        ControlKind.found_ranks,
        ControlKind.random_score,
    ]
    assert chain.steps[1].text == (
        "Its ranks, given to plain from the start, give +0.05 points (95 % interval +0.02 to +0.09, 5 seeds): the allocation "
        "helps by itself, but by less than matters."
    )
    assert chain.steps[2].text.endswith("adaptive is 3.01 points above it: choosing by the score helps.")
    assert chain.steps[0].text.endswith("adaptive is 1.00 points above it: the method, besides its size, helps.")
    assert (answer.family, answer.control_family) == (1, 6)
    assert answer.comparisons[0].text.endswith("better, by more than 0.5 points.")


def test_lower_is_better_for_a_loss_and_its_unit_is_not_points() -> None:
    metric = ExperimentMetric(name="eval_loss", title="loss", lower_is_better=True, in_points=False)
    answer = compute(small({"plain": [1.0, 1.1, 1.2], "new": [0.5, 0.61, 0.7]}, metric=metric, margin=0.01))
    (found,) = answer.comparisons
    assert found.verdict == Verdict.better
    assert found.text == (
        "At mean rank 2, new is 0.497 loss below plain (95 % interval -0.511 to -0.482, 3 seeds): better, by more than 0.01 loss."
    )


def test_one_seed_never_decides_but_says_what_its_rows_show() -> None:
    scores = {("plain", 0): [1, 0, 0, 0, 1, 0, 0, 0], ("new", 0): [1, 1, 1, 1, 1, 1, 1, 0]}
    answer = compute(small({"plain": [0.25], "new": [0.875]}, scores=scores))
    (found,) = answer.comparisons
    assert found.verdict == Verdict.cannot_tell
    assert found.difference.row_test is not None
    assert "5 are right only here and 0 only there (McNemar, p = 0.062)" in found.text


def test_scores_of_rows_give_a_bootstrap_interval_only_if_their_mean_is_the_metric() -> None:
    random = np.random.default_rng(0)
    scores = {(name, seed): random.integers(0, 2, 50).tolist() for name in ("plain", "new") for seed in range(3)}
    means = {name: [float(np.mean(scores[name, seed])) for seed in range(3)] for name in ("plain", "new")}
    (found,) = compute(small(means, scores=scores)).comparisons
    assert found.difference.bootstrap is not None
    assert found.difference.mean is not None
    assert found.difference.bootstrap.low < found.difference.mean < found.difference.bootstrap.high
    other = {name: [value / 2 for value in values] for name, values in means.items()}
    assert compute(small(other, scores=scores)).comparisons[0].difference.bootstrap is None


def test_diverged_trials_are_left_out_of_the_mean_and_said() -> None:
    answer = compute(
        small({"plain": [0.8, 0.81, 0.82], "new": [0.81, None, 0.84]}, collapsed={("new", 1): Collapse.diverged})
    )
    (found,) = answer.comparisons
    assert (found.difference.n, found.difference.collapsed) == (2, 1)
    assert found.difference.mean == pytest.approx(0.015)
    assert found.text.endswith("At 1 seed, a trial collapsed; without it: +1.50 points.")


def test_experiment_without_results_has_no_comparison() -> None:
    empty = compute(small({"plain": [], "new": []}))
    assert (empty.comparisons, empty.cells, empty.family) == ([], [], 0)
    apart = compute(small({"plain": [0.8], "new": [None, 0.9]}))
    (found,) = apart.comparisons
    assert found.text == "At mean rank 2, new can't be compared with plain: they have no finished seed in common."


def test_planned_looks_are_corrected() -> None:
    values = {"plain": [0.80, 0.81, 0.79, 0.805], "new": [0.807, 0.823, 0.794, 0.823]}
    once = small(values)
    (found,) = compute(once).comparisons
    assert found.difference.p is not None
    assert 0.05 / 1.7 < found.difference.p < 0.05
    assert found.verdict == Verdict.better
    twice = once.model_copy(update={"design": once.design.model_copy(update={"planned_looks": 2})})
    (again,) = compute(twice).comparisons
    assert again.difference.p_corrected == pytest.approx(1.7015 * found.difference.p, rel=1e-3)
    assert again.verdict == Verdict.cannot_tell
    differences = np.subtract(values["new"], values["plain"])
    wide = stats.ttest_1samp(differences, 0).confidence_interval(1 - 0.05 / 1.7015)
    assert again.difference.interval is not None
    assert (again.difference.interval.low, again.difference.interval.high) == pytest.approx(tuple(wide), rel=1e-3)
    assert again.difference.interval.low < 0
    assert found.difference.smallest_detectable is not None
    assert again.difference.smallest_detectable is not None
    assert again.difference.smallest_detectable > found.difference.smallest_detectable
    assert "the smallest difference that these seeds could have shown" in again.text


def test_another_number_of_parameters_at_the_same_mean_rank_is_said_with_numbers() -> None:
    given = small({"plain": [0.80, 0.81, 0.79], "new": [0.81, 0.82, 0.805]})
    trials = [
        trial.model_copy(update={"kept_parameters": 112}) if trial.variant == "new" else trial for trial in given.trials
    ]
    larger = compute(given.model_copy(update={"trials": trials}))
    assert larger.comparisons[0].text.endswith(" It kept 12 % more parameters than plain.")
    (note,) = larger.notes
    assert "In 1 of 1 comparisons, the method kept 1.12 times the parameters of the baseline." in note.text
    assert compute(given).notes == []


def test_tables_mark_collapsed_trials() -> None:
    given = small(
        {"plain": [0.5, 0.8], "new": [0.81, 0.82], "lost": [None, None]},
        collapsed={("plain", 0): Collapse.majority, ("lost", 0): Collapse.diverged, ("lost", 1): Collapse.diverged},
    )
    answer = compute(given)
    table = paper_table(given.design, answer)
    assert [line.split("|")[2].strip() for line in as_text(table, "markdown").splitlines()[2:5]] == [
        "65.00 ± 21.21†",
        "81.50 ± 0.71",
        "–†",
    ]
    latex = as_text(table, "latex")
    assert r"plain & 65.00 $\pm$ 21.21$^\dagger$ \\" in latex
    assert r"\multicolumn{2}{l}{\footnotesize $^\dagger$ At least one trial collapsed" in latex
    assert [line.split(",")[8] for line in as_text(table, "csv").splitlines()] == ["collapsed", "1", "0", "2"]
    report = experiment_report("E", "", given.design, answer)
    assert "lost, mean rank 2 on reviews: 2 trials (diverged), seeds 0, 1" in report
    assert "majority" not in report


def test_ranks_that_controls_copied_have_no_agreement() -> None:
    seen = {("new", seed): {"a": 1, "b": 2 + seed, "c": 4} for seed in range(3)}
    ranks = seen | {("copy", seed): one for (_, seed), one in seen.items()}
    values = {"plain": [0.8, 0.81, 0.82], "new": [0.81, 0.83, 0.84], "copy": [0.8, 0.815, 0.82]}
    answer = compute(small(values, ranks=ranks, controls={"copy": (ControlKind.found_ranks, "new")}))
    found, copied = (cell.agreement for cell in answer.cells[1:])
    assert found is not None
    assert found.spearman is not None
    assert copied is not None
    assert (copied.spearman, copied.is_given) == (None, True)
    assert copied.text == "These ranks were given, after those of new."


def test_report_has_every_sentence_and_value_and_no_script(study: Imported, study_answer: Answer) -> None:
    page = experiment_report("Study <1>", "a & b", study.design, study_answer)
    assert "Study &lt;1&gt;" in page
    assert "<script" not in page
    assert all(html.escape(each.text) in page for each in study_answer.comparisons if not each.is_control)
    assert page.count("<tr><td>") == len(study_answer.cells)
    assert all(html.escape(step.text) in page for chain in study_answer.chains for step in chain.steps)
    assert len(page) < 5_000_000
    ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    empty = compute(small({"plain": [], "new": []}))
    assert "Nothing can be compared yet" in experiment_report("E", "", small({"plain": [], "new": []}).design, empty)
