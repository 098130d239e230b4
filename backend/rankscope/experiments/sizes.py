"""Kept parameters at equal mean rank: what a comparison says when two variants are not of the same size."""

from collections.abc import Mapping, Sequence

from rankscope.contract.experiments.answer import AnswerNote, VariantComparison
from rankscope.contract.experiments.design import ControlKind, Design, Variant
from rankscope.contract.methods import METHODS

SAME = 0.015
"""Share of the parameters by which two variants may differ and still count as equally large."""
_UNIT, _BY_PARAMETERS = "budget_unit", "parameters"


def size_sentence(ratio: float, reference: str) -> str:
    """Returns for example " It kept 12 % more parameters than LoRA.", or nothing for the same size."""
    if abs(ratio - 1) < SAME:
        return ""
    if ratio >= 2:
        return f" It kept {ratio:.3g} times the parameters of {reference}."
    return f" It kept {100 * abs(ratio - 1):.0f} % {'more' if ratio > 1 else 'fewer'} parameters than {reference}."


def size_note(design: Design, methods: Sequence[VariantComparison]) -> list[AnswerNote]:
    """Returns a warning if the methods kept other numbers of parameters than the baseline, and what compares equal sizes."""
    other = [each for each in methods if each.parameter_ratio is not None and abs(each.parameter_ratio - 1) >= SAME]
    if not other:
        return []
    ratios = sorted(each.parameter_ratio or 1.0 for each in other)
    least, most = f"{ratios[0]:.2f}", f"{ratios[-1]:.2f}"
    times = most if least == most else f"{least} to {most}"
    text = (
        f"Equal mean rank is not equal size here: a component costs more in a larger module. In {len(other)} of {len(methods)} "
        f"comparisons, the method kept {times} times the parameters of the baseline."
    )
    by_name = {variant.name: variant for variant in design.variants}
    compared = {variant.of for variant in design.variants if variant.control == ControlKind.same_parameters}
    names = list(dict.fromkeys(each.variant for each in other))
    if any(name in compared for name in names):
        text += " The control with as many kept parameters compares at equal size."
    able = [name for name in names if _could_count_parameters(by_name, name)]
    if able:
        text += f" The option {_UNIT}={_BY_PARAMETERS} gives {' and '.join(able[:3])} a budget in parameters."
    return [AnswerNote(severity="warning", text=text)]


def _could_count_parameters(variants: Mapping[str, Variant], name: str) -> bool:
    """Whether this method has an option for a budget in parameters, and does not use it."""
    variant = variants[name]
    kind = METHODS.get(variant.method or "")
    return kind is not None and _UNIT in kind.model_fields and variant.options.get(_UNIT) != _BY_PARAMETERS
