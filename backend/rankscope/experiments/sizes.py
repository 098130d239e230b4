"""Kept parameters at equal mean rank: what a comparison says when two variants are not of the same size."""

from collections.abc import Sequence

from rankscope.contract.experiments.answer import AnswerNote, VariantComparison
from rankscope.contract.experiments.design import ControlKind, Design

SAME = 0.015
"""Share of the parameters by which two variants may differ and still count as equally large."""


def size_sentence(ratio: float, reference: str) -> str:
    """Returns for example " It kept 12 % more parameters than LoRA.", or nothing for the same size."""
    if abs(ratio - 1) < SAME:
        return ""
    if ratio >= 2:
        return f" It kept {ratio:.3g} times the parameters of {reference}."
    return f" It kept {100 * abs(ratio - 1):.0f} % {'more' if ratio > 1 else 'fewer'} parameters than {reference}."


def size_note(design: Design, methods: Sequence[VariantComparison]) -> list[AnswerNote]:
    """Returns a note if methods and baseline kept different numbers of parameters, with the control that compares equal sizes."""
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
    compared = {variant.of for variant in design.variants if variant.control == ControlKind.same_parameters}
    if any(each.variant in compared for each in other):
        text += " The control with as many kept parameters compares at equal size."
    return [AnswerNote(severity="warning", text=text)]
