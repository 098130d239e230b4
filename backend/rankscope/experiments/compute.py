"""Computes an answer: the entry point of this package."""

from collections.abc import Sequence

from rankscope.contract.experiments.answer import (
    Answer,
    AnswerNote,
    Cell,
    CollapsedTrial,
    VariantComparison,
    Verdict,
)
from rankscope.contract.experiments.design import Role, TrialStatus
from rankscope.experiments.cells import cells
from rankscope.experiments.chains import chains
from rankscope.experiments.comparisons import compare, total_comparisons
from rankscope.experiments.inputs import AnswerInput
from rankscope.experiments.sizes import size_note, size_sentence
from rankscope.experiments.trial_table import TrialTable
from rankscope.experiments.tuning import tuned_cells, tuning_notes

SAME_SIZE = 1.1
"""A variant with more than this multiple of the baseline's kept parameters is never marked as the winner."""


def compute(given: AnswerInput) -> Answer:
    table = TrialTable(given)
    found = cells(given, table)
    methods, controls = (_with_ratios(each, found) for each in compare(given, table))
    names = {variant.name for variant in given.design.variants if given.selection.has_variant(variant)}
    shown = [
        trial for trial in given.trials if given.selection.has(trial.task, trial.budget) and trial.variant in names
    ]
    results = [trial for trial in shown if trial.is_result]
    tuned = tuned_cells(given, table)
    total = total_comparisons(given, table)
    tuning_seeds = {trial.seed for trial in given.trials if not trial.is_result}
    return Answer(
        revision=given.revision,
        comparisons=[*methods, *controls],
        family=sum(each.difference.p is not None for each in methods),
        control_family=sum(each.difference.p is not None for each in controls),
        chains=chains(given.design, methods, controls),
        cells=_with_winners(given, found, methods),
        collapsed=[
            CollapsedTrial(
                trial=trial.number,
                purpose=trial.purpose,
                task=trial.task,
                variant=trial.variant,
                budget=trial.budget,
                seed=trial.seed,
                value=trial.value,
                reason=trial.collapse,
                run_id=trial.run_id,
            )
            for trial in shown
            if trial.collapse is not None
        ],
        tuning=tuned,
        notes=[
            *_collapse_note(found),
            *_notes(given, found),
            *size_note(given.design, methods),
            *_selection_notes(len(methods), total),
            *tuning_notes(given, tuned, {trial.seed for trial in results}, tuning_seeds),
        ],
        total_comparisons=total,
        missing=sum(trial.status in (TrialStatus.planned, TrialStatus.running) for trial in shown),
        failed=sum(trial.status == TrialStatus.failed for trial in shown),
    )


def _with_ratios(comparisons: Sequence[VariantComparison], found: Sequence[Cell]) -> list[VariantComparison]:
    kept = {(cell.task, cell.budget, cell.variant): cell.kept_parameters for cell in found}

    def ratio(each: VariantComparison) -> float | None:
        one = kept.get((each.task, each.budget, each.variant))
        other = kept.get((each.task, each.budget, each.reference))
        return one / other if one is not None and other else None

    def with_ratio(each: VariantComparison) -> VariantComparison:
        found = ratio(each)
        size = "" if found is None else size_sentence(found, each.reference)
        return each.model_copy(update={"parameter_ratio": found, "text": each.text + size})

    return [with_ratio(each) for each in comparisons]


def _with_winners(given: AnswerInput, found: Sequence[Cell], methods: Sequence[VariantComparison]) -> list[Cell]:
    """Marks the best cell of each column, if the spread allows it.

    That is the one with the best mean of those that are better than the baseline and have about as many parameters. If
    all others of about that size are worse, it is the baseline.
    """
    sign = -1.0 if given.design.metric.lower_is_better else 1.0
    winners = set()
    for task, budget in {(cell.task, cell.budget) for cell in found}:
        fair = [
            each
            for each in methods
            if (each.task, each.budget) == (task, budget)
            and (each.parameter_ratio is None or each.parameter_ratio <= SAME_SIZE)
            and each.difference.mean is not None
        ]
        better = [each for each in fair if each.verdict == Verdict.better]
        if better:
            best = max(better, key=lambda each: sign * (each.difference.mean or 0.0))
            winners.add((task, budget, best.variant))
        elif fair and all(each.verdict == Verdict.worse for each in fair):
            winners.add((task, budget, fair[0].reference))
    return [cell.model_copy(update={"is_winner": (cell.task, cell.budget, cell.variant) in winners}) for cell in found]


def _notes(given: AnswerInput, found: Sequence[Cell]) -> list[AnswerNote]:
    notes = []
    design, baseline = given.design, given.design.baseline
    if given.is_extended_after_looking:
        text = (
            "Extended after looking: seeds were added after the answer had been shown more often than planned, so its p values "
            "are too small by an unknown amount."
        )
        notes.append(AnswerNote(severity="warning", text=text))
    if baseline is None:
        notes.append(AnswerNote(severity="warning", text="No variant is the baseline, so nothing is compared."))
    else:
        with_baseline = {(cell.task, cell.budget) for cell in found if cell.role == Role.baseline and cell.n}
        lacking = sorted({(cell.task, cell.budget) for cell in found} - with_baseline)
        if lacking:
            listed = ", ".join(f"{budget:g} on {task}" for task, budget in lacking[:5])
            more = " and more" if len(lacking) > 5 else ""
            text = f"Not compared, because {baseline.name} has no result at these budgets: mean rank {listed}{more}."
            notes.append(AnswerNote(severity="info", text=text))
    short = [cell for cell in found if cell.role != Role.control and cell.n < len(design.seeds)]
    if short:
        listed = ", ".join(
            f"{cell.variant} at mean rank {cell.budget:g} on {cell.task} ({cell.n})" for cell in short[:5]
        )
        more = f" and {len(short) - 5} more" if len(short) > 5 else ""
        notes.append(
            AnswerNote(severity="info", text=f"Fewer results than the {len(design.seeds)} seeds: {listed}{more}.")
        )
    return notes


def _collapse_note(found: Sequence[Cell]) -> list[AnswerNote]:
    """Returns what to do about variants in which no trial learned anything."""
    lost = [cell for cell in found if cell.values and all(one.collapse is not None for one in cell.values)]
    if not lost:
        return []
    listed = ", ".join(f"{cell.variant} at mean rank {cell.budget:g} on {cell.task}" for cell in lost[:5])
    more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
    text = (
        f"No trial learned anything, so nothing can be said about: {listed}{more}. Train for more steps, or with other learning "
        "rates."
    )
    return [AnswerNote(severity="warning", text=text)]


def _selection_notes(shown: int, total: int) -> list[AnswerNote]:
    if shown >= total:
        return []
    text = (
        f"{shown} of {total} comparisons are shown, and the p values are corrected for those. Choose what to show by your "
        "question, not by the results."
    )
    return [AnswerNote(severity="info", text=text)]
