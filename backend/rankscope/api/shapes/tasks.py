"""What the API returns about tasks and their metrics."""

from rankscope.api.shapes.base import Shape
from rankscope.contract.metrics import Metric


class TaskShape(Shape):
    name: str
    title: str
    headline: str
    """Name of the headline metric of runs that choose none; see `headline` of a run."""
    best_by: list[str]
    """Names of the metrics that can determine the best checkpoint."""
    metrics: list[Metric]
    """All metrics of runs of this task, in the order of the page. The title of any other metric is made from its name."""


class TaskList(Shape):
    items: list[TaskShape]
