"""The controls of a method as a chain: what each implies about the cause of its difference."""

from collections.abc import Mapping, Sequence

from rankscope.contract.experiments.answer import Chain, ChainStep, Size, VariantComparison, Verdict
from rankscope.contract.experiments.design import ControlKind, Design, Role, Variant
from rankscope.experiments.comparisons import comparison_id
from rankscope.experiments.wording import Wording

_TITLES: Mapping[ControlKind, str] = {
    ControlKind.same_parameters: "As many kept parameters",
    ControlKind.found_ranks: "The ranks that it found, from the start",
    ControlKind.other_seed_ranks: "The ranks of another seed",
    ControlKind.permuted_ranks: "Its ranks, permuted among equal modules",
    ControlKind.random_score: "A random score",
}
_ORDER = list(_TITLES)


def chains(design: Design, methods: Sequence[VariantComparison], controls: Sequence[VariantComparison]) -> list[Chain]:
    """Returns one chain for each method that has controls, in the order of the comparisons of methods."""
    baseline = design.baseline
    if baseline is None:
        return []
    by_id = {each.id: each for each in controls}
    words = Wording(design.metric, design.margin)
    found = []
    for main in methods:
        own = [each for each in design.variants if each.role == Role.control and each.of == main.variant]
        own.sort(key=lambda each: len(_ORDER) if each.control is None else _ORDER.index(each.control))
        steps = [_step(words, main, each, baseline.name, by_id) for each in own]
        known = [step for step in steps if step is not None]
        if known:
            found.append(
                Chain(task=main.task, budget=main.budget, method=main.variant, comparison=main.id, steps=known)
            )
    return found


def _step(
    words: Wording, main: VariantComparison, control: Variant, baseline: str, by_id: Mapping[str, VariantComparison]
) -> ChainStep | None:
    to_baseline = by_id.get(comparison_id(main.task, main.budget, control.name, baseline))
    to_method = by_id.get(comparison_id(main.task, main.budget, main.variant, control.name))
    if to_baseline is None:
        return None
    return ChainStep(
        kind=control.control,
        title=control.name if control.control is None else _TITLES[control.control],
        comparison=to_baseline.id,
        to_method=to_method and to_method.id,
        text=_text(words, control.control, main.variant, baseline, to_baseline, to_method),
    )


def _text(
    words: Wording,
    kind: ControlKind | None,
    method: str,
    baseline: str,
    to_baseline: VariantComparison,
    to_method: VariantComparison | None,
) -> str:
    gives = _gives(words, to_baseline)
    against = "" if to_method is None else f" {method} {_side(words, to_method)} it"
    match kind:
        case ControlKind.found_ranks:
            return (
                f"Its ranks, given to {baseline} from the start, give {gives}: {_helps(to_baseline, 'the allocation')}."
            )
        case ControlKind.other_seed_ranks:
            conclusion = _helps(to_baseline, "what the seeds' allocations have in common")
            return f"The ranks of another seed, given to {baseline} from the start, give {gives}: {conclusion}."
        case ControlKind.permuted_ranks:
            conclusion = _helps(to_baseline, "how unequal the ranks are, wherever they are,")
            return f"Its ranks, permuted among modules of equal shape, give {gives}: {conclusion}."
        case ControlKind.random_score:
            conclusion = _matters(to_method, "choosing by the score")
            return f"Pruning by a random score gives {gives}.{against}: {conclusion}."
        case ControlKind.same_parameters:
            conclusion = _matters(to_method, "the method, besides its size,")
            return f"{baseline} with as many kept parameters gives {gives}.{against}: {conclusion}."
        case None:
            return (
                f"{to_baseline.variant} gives {gives}.{against}."
                if against
                else f"{to_baseline.variant} gives {gives}."
            )


def _gives(words: Wording, comparison: VariantComparison) -> str:
    mean = comparison.difference.mean
    if mean is None:
        return "no result yet"
    return f"{words.signed(mean)}{words.unit} {words.evidence(comparison.difference)}"


def _side(words: Wording, comparison: VariantComparison) -> str:
    mean = comparison.difference.mean
    if mean is None:
        return "is not compared with"
    if words.signed(mean) == words.signed(0.0):
        return "gives the same as"
    return f"is {words.amount(mean)}{words.unit} {'above' if mean > 0 else 'below'}"


def _helps(comparison: VariantComparison, subject: str) -> str:
    """The conclusion from a control's difference to the baseline."""
    match comparison.verdict:
        case Verdict.better:
            return f"{subject} helps by itself{_little(comparison)}"
        case Verdict.worse:
            return f"{subject} harms{_little(comparison)}"
        case Verdict.equivalent:
            return f"{subject} explains nothing"
        case Verdict.cannot_tell if comparison.difference.untested:
            return f"{comparison.difference.untested}"
        case Verdict.cannot_tell:
            return f"these seeds can't tell whether {subject} helps"


def _matters(to_method: VariantComparison | None, subject: str) -> str:
    """The conclusion from the method's difference to a control."""
    if to_method is not None and to_method.difference.untested:
        return to_method.difference.untested
    if to_method is None or to_method.verdict == Verdict.cannot_tell:
        return f"these seeds can't tell whether {subject} helps"
    if to_method.verdict == Verdict.equivalent:
        return f"{subject} makes no difference that matters"
    return f"{subject} {'helps' if to_method.verdict == Verdict.better else 'harms'}{_little(to_method)}"


def _little(comparison: VariantComparison) -> str:
    return ", but by less than matters" if comparison.size == Size.less_than_matters else ""
