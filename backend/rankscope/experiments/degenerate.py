"""Results that can't be tested although there are two pairs: collapsed trials, and differences without a spread.

A t test divides by the spread between seeds. Without one, every p value is 0 or 1 and no interval has a width, which looks
like certainty, but only means that the spread is unknown.
"""

from collections.abc import Sequence

from rankscope.contract.experiments.answer import SeedPair
from rankscope.contract.experiments.design import Collapse
from rankscope.experiments.statistics.paired import is_constant, rounding_of

_HOW = {
    frozenset({Collapse.majority}): "it always predicts one class",
    frozenset({Collapse.diverged}): "it diverged",
}


def why_collapsed(pairs: Sequence[SeedPair], *, variant: str, reference: str) -> str | None:
    """Returns a clause saying that a side has no trained model; None if both have one.

    The difference to such a side says nothing about a method: a better rate or more steps might train it.
    """
    sides = {variant: [pair.collapse for pair in pairs], reference: [pair.reference_collapse for pair in pairs]}
    collapsed = [name for name, reasons in sides.items() if pairs and all(reasons)]
    if not collapsed:
        return None
    how = frozenset(reason for name in collapsed for reason in sides[name] if reason is not None)
    names = " and of ".join(collapsed)
    return f"every trial of {names} collapsed ({_HOW.get(how, 'it always predicts one class or diverged')})"


def why_without_spread(
    values: Sequence[float], references: Sequence[float], *, have_other_rows_right: bool
) -> str | None:
    """Returns a clause on why the seeds tell nothing about other seeds; None if the differences vary.

    Two variants with the same results at each of several different seeds are known to be alike, unless their single
    evaluation rows differ (`have_other_rows_right`).
    """
    rounding = rounding_of(values, references)
    differences = [value - reference for value, reference in zip(values, references, strict=True)]
    if len(differences) < 2 or not is_constant(differences, rounding):
        return None
    if is_constant(values, rounding):
        return "every seed gave the same results, so the spread between seeds is unknown"
    if abs(differences[0]) > rounding:
        return "the difference is the same at every seed, so its spread is unknown"
    if have_other_rows_right:
        return "the results are equal, but not the rows that are right, so the spread between seeds is unknown"
    return None
