"""All comparisons of a selection, corrected for their number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rankscope.contract.experiments.answer import Difference, SeedPair, VariantComparison, Verdict
from rankscope.contract.experiments.design import Design, Role
from rankscope.experiments.cells import keys_of
from rankscope.experiments.differences import LEVEL, corrected, difference, pairs_of
from rankscope.experiments.inputs import AnswerInput, Selection
from rankscope.experiments.sentences import comparison_sentence
from rankscope.experiments.statistics.holm import holm
from rankscope.experiments.statistics.looks import looks_factor
from rankscope.experiments.trial_table import TrialTable
from rankscope.experiments.verdicts import decide, size
from rankscope.experiments.wording import Wording, place

_ORDER = {Verdict.better: 0, Verdict.worse: 0, Verdict.equivalent: 1, Verdict.cannot_tell: 2}


@dataclass(frozen=True)
class _Open:
    """A comparison before the correction."""

    task: str
    budget: float
    variant: str
    reference: str
    is_control: bool
    pairs: list[SeedPair]
    difference: Difference


def comparison_id(task: str, budget: float, variant: str, reference: str) -> str:
    return f"{task} | {budget:g} | {variant} | {reference}"


def compare(given: AnswerInput, table: TrialTable) -> tuple[list[VariantComparison], list[VariantComparison]]:
    """Returns the comparisons of methods and of controls, each the strongest first.

    They are two families, corrected separately: controls explain a result, they don't add claims.
    """
    opened = [_open(given, table, *names) for names in _wanted(given, table)]
    methods = [each for each in opened if not each.is_control]
    controls = [each for each in opened if each.is_control]
    return _closed(given.design, methods), _closed(given.design, controls)


def total_comparisons(given: AnswerInput, table: TrialTable) -> int:
    """Returns the number of comparisons of methods in the whole experiment."""
    whole = given.model_copy(update={"selection": Selection()})
    return sum(not is_control for *_, is_control in _wanted(whole, table))


def _wanted(given: AnswerInput, table: TrialTable) -> list[tuple[str, float, str, str, bool]]:
    """Task, budget, variant, reference, and whether it is a control, for every comparison with trials on both sides."""
    baseline = given.design.baseline
    if baseline is None:
        return []
    found = []
    for task, budget, variant in keys_of(given):
        sides = [(variant.name, baseline.name)]
        if variant.role == Role.control and variant.of is not None:
            sides.append((variant.of, variant.name))
        found += [
            (task, budget, one, other, variant.role == Role.control)
            for one, other in sides
            if one != other and (task, budget, one) in table.cells and (task, budget, other) in table.cells
        ]
    return found


def _open(
    given: AnswerInput, table: TrialTable, task: str, budget: float, variant: str, reference: str, is_control: bool
) -> _Open:
    cell, other = table.cells[task, budget, variant], table.cells[task, budget, reference]
    pairs = pairs_of(cell, other)
    level = LEVEL / looks_factor(given.design.planned_looks)
    found = difference(pairs, cell, other, table, given.design.margin, (variant, reference), level)
    return _Open(task, budget, variant, reference, is_control, pairs, found)


def _closed(design: Design, opened: Sequence[_Open]) -> list[VariantComparison]:
    tested = [each for each in opened if each.difference.p is not None]
    adjusted = holm([each.difference.p for each in tested if each.difference.p is not None])
    factor = looks_factor(design.planned_looks)
    by_id = dict(zip(map(id, tested), (min(1.0, p * factor) for p in adjusted), strict=True))
    words = Wording(design.metric, design.margin)
    closed = [
        _comparison(
            design,
            words,
            replace(each, difference=corrected(each.difference, by_id.get(id(each)), len(tested), factor)),
            len(tested),
        )
        for each in opened
    ]
    return sorted(
        closed, key=lambda each: (_ORDER[each.verdict], 2.0 if each.difference.p is None else each.difference.p)
    )


def _comparison(design: Design, words: Wording, each: _Open, family: int) -> VariantComparison:
    reached, withheld = decide(
        each.difference, design.margin, design.metric, variant=each.variant, reference=each.reference
    )
    extent = size(each.difference, design.margin)
    return VariantComparison(
        id=comparison_id(each.task, each.budget, each.variant, each.reference),
        task=each.task,
        budget=each.budget,
        variant=each.variant,
        reference=each.reference,
        is_control=each.is_control,
        difference=each.difference,
        verdict=reached,
        size=extent,
        parameter_ratio=None,
        pairs=each.pairs,
        text=comparison_sentence(
            words,
            each.difference,
            reached,
            extent,
            variant=each.variant,
            reference=each.reference,
            where=place(each.task, each.budget, name_task=len(design.tasks) > 1),
            family=family,
            looks=design.planned_looks,
            withheld=withheld,
        ),
    )
