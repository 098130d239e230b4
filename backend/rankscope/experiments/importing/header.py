"""Properties of all lines of an import: the optional first line `{"design": {...}}`, or options of the request."""

from typing import Annotated

from pydantic import Field

from rankscope.contract.experiments.design import DesignPart, Label, Share, Tuning, Variant


class ImportHeader(DesignPart):
    """Everything is optional: what is missing is taken from the lines."""

    metric: Annotated[str, Field(max_length=65)] | None = None
    """Name of the field with the headline metric."""
    title: Label | None = None
    """Of the metric, as it is written within a sentence."""
    lower_is_better: bool | None = None
    in_points: bool | None = None
    """Whether the metric is a share from 0 to 1, shown in hundredths."""
    margin: Annotated[float, Field(gt=0)] | None = None
    """The smallest difference that matters, in the unit of the metric."""
    baseline: Label | None = None
    """Name of the variant that every other one is compared with."""
    variants: list[Variant] = []
    """Roles, controls and descriptions of variants."""
    majority: dict[Label, Share] = {}
    """By task: share of the most frequent class among its evaluation rows. A trial with exactly this value has collapsed."""
    modules: list[str] = []
    """Names for ranks that are lists, in the order of the model."""
    tuning: Tuning | None = None
    planned_looks: Annotated[int, Field(ge=1, le=10)] = 1
    protocol: dict[str, str] = {}
    """What else determined the results: title -> text."""
