"""The sentence of a comparison: the difference, its evidence, the verdict, and what would settle it."""

from rankscope.contract.experiments.answer import Difference, Size, Verdict
from rankscope.experiments.wording import Wording


def comparison_sentence(
    words: Wording,
    difference: Difference,
    verdict: Verdict,
    size: Size,
    *,
    variant: str,
    reference: str,
    where: str,
    family: int,
    looks: int = 1,
    withheld: str | None = None,
) -> str:
    """Returns for example "At mean rank 2, A is 0.2 points below B (95 % interval -0.5 to +0.2, 5 seeds): ..."."""
    mean = difference.mean
    if mean is None:
        return f"At {where}, {variant} can't be compared with {reference}: {_why_nothing(difference)}."
    if words.signed(mean) == words.signed(0.0):
        opening = f"At {where}, {variant} and {reference} differ by {words.amount(0)}{words.unit}"
    else:
        side = "above" if mean > 0 else "below"
        opening = f"At {where}, {variant} is {words.amount(mean)}{words.unit} {side} {reference}"
    concluded = conclusion(words, difference, verdict, size, _correction(family, looks), withheld)
    return f"{opening} {words.evidence(difference)}: {concluded}." + _collapsed(words, difference)


def _collapsed(words: Wording, difference: Difference) -> str:
    """Names collapsed trials, and what is left without them."""
    if not difference.collapsed or (difference.untested and difference.without_collapsed is None):
        return ""
    one = difference.collapsed == 1
    seeds = f"{difference.collapsed} seed{'' if one else 's'}"
    if difference.without_collapsed is None:
        return f" At {seeds}, a trial collapsed."
    left = f"{words.signed(difference.without_collapsed)}{words.unit}"
    return f" At {seeds}, a trial collapsed; without {'it' if one else 'them'}: {left}."


def _correction(family: int, looks: int) -> str:
    comparisons = f"{family} comparison{'' if family == 1 else 's'}"
    return comparisons if looks == 1 else f"{comparisons} and {looks} planned looks"


def _why_nothing(difference: Difference) -> str:
    if difference.collapsed:
        return "at every seed that they have in common, a trial diverged"
    return "they have no finished seed in common"


def conclusion(
    words: Wording, difference: Difference, verdict: Verdict, size: Size, correction: str, withheld: str | None
) -> str:
    """Returns the verdict in words, without a full stop."""
    if verdict in (Verdict.better, Verdict.worse):
        match size:
            case Size.less_than_matters:
                return f"{verdict}, but by less than the {words.margin_text} that matter"
            case Size.more_than_matters:
                return f"{verdict}, by more than {words.margin_text}"
            case Size.unclear:
                return f"{verdict}"
    if verdict == Verdict.equivalent and difference.equivalence_p is None:
        return "equivalent: both have the same result at every seed"
    if verdict == Verdict.equivalent:
        return f"equivalent within {words.margin_text}"
    because = difference.untested or withheld
    if because is not None:
        return f"cannot tell, because {because}"
    return f"cannot tell{_why(words, difference, correction)}"


def _why(words: Wording, difference: Difference, correction: str) -> str:
    if difference.row_test is not None:
        test = difference.row_test
        return (
            f" from one seed. On the same rows, {test.only_variant} are right only here and {test.only_reference} only "
            f"there (McNemar, p = {test.p:.2g}), which says nothing about other seeds"
        )
    if difference.interval is None:
        return " from one seed" if difference.n == 1 else ""
    if difference.interval.low > 0 or difference.interval.high < 0:
        more = difference.more_seeds_after_correction
        would = "" if more is None else f"; {_seeds(more)} would show a difference of this size"
        return f", because the interval excludes 0, but not after the correction for {correction}{would}"
    parts = []
    if difference.smallest_detectable is not None:
        visible = words.amount(difference.smallest_detectable)
        parts.append(f"the smallest difference that these seeds could have shown is {visible}{words.unit}")
    more_seeds = _more_seeds(words, difference)
    return f": {'; '.join([*parts, *([more_seeds] if more_seeds else [])])}" if parts or more_seeds else ""


def _more_seeds(words: Wording, difference: Difference) -> str | None:
    """Returns what more seeds would show."""
    show, exclude = difference.more_seeds_for_margin, difference.more_seeds_for_equivalence
    if exclude and (not show or exclude <= show):
        return (
            f"{_seeds(exclude)} would show that they are equivalent within {words.margin_text}, if mean and spread stay"
        )
    if show:
        return f"{_seeds(show)} would show {words.margin_text}"
    if show is None:
        return f"more than 1,000 seeds would be needed to show {words.margin_text}"
    return None


def _seeds(n: int) -> str:
    return f"{n:,} more seed{'' if n == 1 else 's'}"
