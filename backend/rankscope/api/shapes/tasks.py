"""What the API says about tasks and their metrics."""

from rankscope.api.shapes.base import Shape
from rankscope.contract.metrics import Metric


class TaskShape(Shape):
    name: str
    title: str
    headline: str
    """Name of the metric that stands for a run in lists."""
    best_by: list[str]
    """Names of the metrics that can choose the best checkpoint."""
    metrics: list[Metric]
    """Of every run of this task, in the order of the page. A metric that is not listed is described by its name."""


class TaskList(Shape):
    items: list[TaskShape]
