"""Axes and lines for parallel coordinates, importance of parameters, and their correlation with the metric.

Importance and correlations need Optuna and SciPy: the server computes them in a separate process (`python -m
rankscope.search`).
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

from rankscope.contract.sweeps.analysis import (
    AnalysisInput,
    Axis,
    Correlation,
    Importance,
    Line,
    PointResult,
    SweepAnalysis,
)
from rankscope.contract.sweeps.design import ParameterSpace, SweepDesign, SweepTrialStatus
from rankscope.search.tpe import study_view
from rankscope.search.trials import KnownPoint, KnownTrial

LEAST_CORRELATED = 4
LEAST_IMPORTANCE = 10
"""Points with a result; with fewer, the numbers would be noise."""


def analyse(given: AnalysisInput) -> SweepAnalysis:
    design, results = given.design, given.results
    axes = [_axis(name, space, given.titles.get(name, name)) for name, space in design.parameters.items()]
    lines = [
        Line(point=one.point, values=[_shown(axis, one.values.get(axis.name)) for axis in axes], value=one.value)
        for one in results
    ]
    notes: list[str] = []
    importance: list[Importance] = []
    correlations: list[Correlation] = []
    if len(results) >= LEAST_CORRELATED:
        correlations = [_correlation(name, results) for name in design.parameters if _is_numeric(design, name)]
    else:
        notes.append(f"Correlations need at least {LEAST_CORRELATED} points with a result; there are {len(results)}.")
    if len(results) >= LEAST_IMPORTANCE:
        importance = _importance(design, results)
        if not importance:
            notes.append("Importance is unknown: the best points have the same values as the others.")
    else:
        notes.append(f"Importance needs at least {LEAST_IMPORTANCE} points with a result; there are {len(results)}.")
    return SweepAnalysis(
        n=len(results),
        axes=axes,
        lines=lines,
        importance=importance,
        correlations=correlations,
        notes=notes,
    )


def _axis(name: str, space: ParameterSpace, title: str) -> Axis:
    if space.values is not None:
        choices = [_text(value) for value in space.values]
        return Axis(name=name, title=title, scale=None, low=None, high=None, choices=choices)
    return Axis(name=name, title=title, scale=space.scale, low=space.low, high=space.high, choices=None)


def _shown(axis: Axis, value: JsonValue) -> float | str | None:
    if value is None and axis.choices is None:
        return None
    if axis.choices is not None:
        text = _text(value)
        return text if text in axis.choices else None
    return float(value) if isinstance(value, int | float) else None


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_numeric(design: SweepDesign, name: str) -> bool:
    values = design.parameters[name].values
    return values is None or all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)


def _correlation(name: str, results: Sequence[PointResult]) -> Correlation:
    from scipy.stats import spearmanr

    pairs = [(value, one.value) for one in results if isinstance(value := one.values.get(name), int | float)]
    if len(pairs) < LEAST_CORRELATED or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return Correlation(name=name, rho=None, p=None, n=len(pairs))
    found = spearmanr([one for one, _ in pairs], [other for _, other in pairs])
    rho, p = float(found.statistic), float(found.pvalue)
    return Correlation(name=name, rho=rho, p=p if math.isfinite(p) else None, n=len(pairs))


def _importance(design: SweepDesign, results: Sequence[PointResult]) -> list[Importance]:
    """PED-ANOVA (Watanabe et al. 2023): how far the values of the best points differ from those of all."""
    from optuna.importance import PedAnovaImportanceEvaluator

    names = [name for name in design.parameters if any(name in one.values for one in results)]
    if len({one.value for one in results}) < 2:
        return []
    study: Any = study_view(design, [_point(one) for one in results])
    found = PedAnovaImportanceEvaluator().evaluate(study, params=names)
    total = sum(found.values())
    if not math.isfinite(total) or total <= 0:
        return []
    shares = [Importance(name=name, share=float(value / total)) for name, value in found.items()]
    return sorted(shares, key=lambda one: -one.share)


def _point(one: PointResult) -> KnownPoint:
    trial = KnownTrial(one.point, one.point, 0, SweepTrialStatus.done, one.values, one.value)
    return KnownPoint(one.point, one.values, [trial])
