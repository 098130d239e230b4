"""What the results of a sweep say about its parameters, computed by `rankscope.search.analysis`."""

from pydantic import BaseModel, ConfigDict

from rankscope.contract.sweeps.design import Scale, SweepDesign, Values


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class PointResult(_Part):
    point: int
    values: Values
    value: float
    """Mean over its seeds."""


class AnalysisInput(_Part):
    design: SweepDesign
    results: list[PointResult]
    titles: dict[str, str]
    """Of the parameters."""


class Axis(_Part):
    """One parameter, for parallel coordinates: a range, or choices."""

    name: str
    title: str
    scale: Scale | None
    """Null for choices."""
    low: float | None
    high: float | None
    choices: list[str] | None
    """Texts of the values, in their order."""


class Line(_Part):
    """One point with a result."""

    point: int
    values: list[float | str | None]
    """In the order of the axes: a number, or one of the choices. Null if the point's method does not have the parameter."""
    value: float


class Importance(_Part):
    name: str
    share: float
    """Of the variation among good points that this parameter explains (PED-ANOVA); all shares add up to 1."""


class Correlation(_Part):
    name: str
    rho: float | None
    """Spearman's rank correlation with the metric; null if either is constant."""
    p: float | None
    """Two-sided."""
    n: int
    """Points that have the parameter."""


class SweepAnalysis(_Part):
    n: int
    """Points with a result."""
    axes: list[Axis]
    lines: list[Line]
    importance: list[Importance]
    """The most important first; empty with too few points."""
    correlations: list[Correlation]
    """Of numeric parameters, in their order."""
    notes: list[str]
