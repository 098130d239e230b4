"""The summary of each cell, and the agreement of its ranks."""

from collections.abc import Iterator, Mapping
from statistics import fmean, median, stdev

import numpy as np

from rankscope.contract.experiments.answer import Cell, Interval, RankAgreement, SeedValue
from rankscope.contract.experiments.design import ControlKind, Variant
from rankscope.experiments.inputs import AnswerInput, TrialData
from rankscope.experiments.statistics.agreement import agreement
from rankscope.experiments.statistics.paired import mean_interval
from rankscope.experiments.trial_table import TrialTable

AGREEMENT_SEED = 20_240_502


def keys_of(given: AnswerInput) -> Iterator[tuple[str, float, Variant]]:
    """All cells of the selection, by task, budget, and order of the design."""
    for task in given.design.tasks:
        for budget in given.design.budgets:
            if given.selection.has(task.name, budget):
                shown = filter(given.selection.has_variant, given.design.variants)
                yield from ((task.name, budget, variant) for variant in shown)


def cells(given: AnswerInput, table: TrialTable) -> list[Cell]:
    """Returns every cell with a trial, none of them marked as winner yet."""
    return [
        _cell(task, budget, variant, table)
        for task, budget, variant in keys_of(given)
        if table.planned.get((task, budget, variant.name))
    ]


def _cell(task: str, budget: float, variant: Variant, table: TrialTable) -> Cell:
    key = (task, budget, variant.name)
    trials = table.cells.get(key, {})
    values = [trial.value for trial in trials.values() if trial.value is not None]
    sound = [trial.value for trial in trials.values() if trial.value is not None and trial.collapse is None]
    kept = [trial.kept_parameters for trial in trials.values() if trial.kept_parameters is not None]
    ranks = [fmean(trial.ranks.values()) for trial in trials.values() if trial.ranks]
    interval = mean_interval(values)
    return Cell(
        task=task,
        variant=variant.name,
        budget=budget,
        role=variant.role,
        n=len(values),
        planned=table.planned[key],
        mean=fmean(values) if values else None,
        sd=stdev(values) if len(values) > 1 else None,
        median=median(values) if values else None,
        interval=interval and Interval(low=interval[0], high=interval[1]),
        mean_without_collapsed=fmean(sound) if sound and len(sound) < len(values) else None,
        kept_parameters=fmean(kept) if kept else None,
        mean_rank=fmean(ranks) if ranks else None,
        is_winner=False,
        values=[
            SeedValue(seed=seed, value=trial.value, trial=trial.number, run_id=trial.run_id, collapse=trial.collapse)
            for seed, trial in sorted(trials.items())
        ],
        agreement=rank_agreement(trials, variant),
    )


def rank_agreement(trials: Mapping[int, TrialData], variant: Variant) -> RankAgreement | None:
    """Returns the mean ranks of a cell and their agreement; None if no trial has ranks.

    Only seeds with the same modules as the first one with ranks count. The agreement is not computed for a control that
    was given its ranks, because it would only reflect their source.
    """
    known = [trial.ranks for _, trial in sorted(trials.items()) if trial.ranks]
    if not known:
        return None
    modules = list(known[0])
    same = [ranks for ranks in known if ranks.keys() == known[0].keys()]
    table = np.array([[ranks[module] for module in modules] for ranks in same], dtype=float)
    is_copied = variant.control not in (None, ControlKind.random_score)
    is_given = is_copied or (len(same) > 1 and bool((table == table[0]).all()))
    found = None if is_given else agreement(table, seed=AGREEMENT_SEED)
    return RankAgreement(
        modules=modules,
        mean_ranks=[float(rank) for rank in table.mean(axis=0)],
        seeds=len(same),
        is_given=is_given,
        spearman=found and found.mean,
        lowest=found and found.lowest,
        highest=found and found.highest,
        kendall_w=found and found.kendall_w,
        p=found and found.p,
        spread=float(table.std(axis=1).mean()),
        unadapted=float((table == 0).sum(axis=1).mean()),
        text=f"These ranks were given, after those of {variant.of}."
        if is_copied
        else _agreement_text(found and (found.mean, found.p), len(same), is_given, bool((table == table[:, :1]).all())),
    )


def _agreement_text(found: tuple[float, float] | None, seeds: int, is_given: bool, is_uniform: bool) -> str:
    if is_uniform:
        return "Every module has the same rank."
    if is_given:
        return "All seeds have the same ranks: they were given, not found."
    if seeds < 2:
        return "One seed: agreement needs two."
    if found is None:
        return "A seed has the same rank in every module."
    mean, p = found
    evidence = f"Spearman {mean:+.2f} on average, p = {p:.2g} against permuted modules"
    if p < 0.05:
        return f"The seeds agree on the ranks more than by chance ({evidence})."
    return f"The seeds agree on the ranks no more than by chance ({evidence})."
