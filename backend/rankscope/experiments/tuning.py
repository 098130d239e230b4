"""What the tuning trials tried, and whether all cells were tuned in the same way."""

from collections import defaultdict
from statistics import fmean

from rankscope.contract.experiments.answer import AnswerNote, TunedCell, TunedRate
from rankscope.experiments.cells import keys_of
from rankscope.experiments.inputs import AnswerInput, TrialData
from rankscope.experiments.trial_table import TrialTable


def tuned_cells(given: AnswerInput, table: TrialTable) -> list[TunedCell]:
    """Returns the rates that were tried for each cell, ascending."""
    found = []
    for task, budget, variant in keys_of(given):
        trials = table.tuning.get((task, budget, variant.name), [])
        rates = _rates(trials)
        if rates:
            best = _best(rates, lower_is_better=given.design.metric.lower_is_better)
            found.append(
                TunedCell(
                    task=task,
                    variant=variant.name,
                    budget=budget,
                    rates=rates,
                    best=best,
                    is_at_edge=best in (rates[0].learning_rate, rates[-1].learning_rate) and len(rates) > 1,
                )
            )
    return found


def _rates(trials: list[TrialData]) -> list[TunedRate]:
    by_rate: dict[float, list[TrialData]] = defaultdict(list)
    for trial in trials:
        if trial.learning_rate is not None:
            by_rate[trial.learning_rate].append(trial)
    found = []
    for rate, of_rate in sorted(by_rate.items()):
        values = [trial.value for trial in of_rate if trial.value is not None]
        found.append(TunedRate(learning_rate=rate, value=fmean(values) if values else None, trials=len(of_rate)))
    return found


def _best(rates: list[TunedRate], *, lower_is_better: bool) -> float | None:
    known = [(rate.value, rate.learning_rate) for rate in rates if rate.value is not None]
    if not known:
        return None
    return (min(known) if lower_is_better else max(known))[1]


def tuning_notes(
    given: AnswerInput, tuned: list[TunedCell], result_seeds: set[int], tuning_seeds: set[int]
) -> list[AnswerNote]:
    """Returns what makes the tuning unequal or dependent on the result."""
    notes = []
    counts = sorted({sum(rate.trials for rate in cell.rates) for cell in tuned})
    if len(counts) > 1:
        text = f"The cells were not tuned alike: by {counts[0]} to {counts[-1]} trials each."
        notes.append(AnswerNote(severity="warning", text=text))
    at_edge = [cell for cell in tuned if cell.is_at_edge]
    if at_edge:
        first = at_edge[0]
        more = f" and {len(at_edge) - 1} more" if len(at_edge) > 1 else ""
        text = (
            f"The best learning rate is at the edge of what was tried for {first.variant} at mean rank {first.budget:g} on "
            f"{first.task}{more}: a rate beyond it may be better."
        )
        notes.append(AnswerNote(severity="warning", text=text))
    both = sorted(result_seeds & tuning_seeds)
    if both:
        listed = ", ".join(map(str, both[:5]))
        text = f"Seeds of the result were used for tuning as well: {listed}{' and more' if len(both) > 5 else ''}."
        notes.append(AnswerNote(severity="warning", text=text))
    if tuned and given.design.tuning.measured_on == "evaluation":
        text = "The learning rates were chosen on the evaluation rows: every variant looks better than on new rows."
        notes.append(AnswerNote(severity="warning", text=text))
    return notes
