"""Numbers and short phrases of an answer's sentences."""

import math

from rankscope.contract.experiments.answer import Difference, Interval
from rankscope.contract.experiments.design import ExperimentMetric


class Wording:
    """Writes numbers in the unit of the metric: shares in points, with as many digits as the margin needs."""

    def __init__(self, metric: ExperimentMetric, margin: float) -> None:
        self.metric = metric
        self._factor = 100.0 if metric.in_points else 1.0
        shown = margin * self._factor
        # A tenth of the margin is visible.
        self._digits = max(1, 1 - math.floor(math.log10(shown) + 1e-9))
        self.margin = self._plain(shown)

    @property
    def unit(self) -> str:
        return " points" if self.metric.in_points else f" {self.metric.title}"

    def amount(self, value: float) -> str:
        """The value without its sign."""
        return f"{abs(value) * self._factor:.{self._digits}f}"

    def signed(self, value: float) -> str:
        text = f"{value * self._factor:+.{self._digits}f}"
        return text.lstrip("+-") if float(text) == 0 else text

    def interval(self, interval: Interval) -> str:
        return f"{self.signed(interval.low)} to {self.signed(interval.high)}"

    def evidence(self, difference: Difference) -> str:
        """In parentheses: interval and seeds."""
        seeds = f"{difference.n} seed{'' if difference.n == 1 else 's'}"
        if difference.interval is None:
            return f"({seeds})"
        return f"(95 % interval {self.interval(difference.interval)}, {seeds})"

    @property
    def margin_text(self) -> str:
        return f"{self.margin}{self.unit}"

    @staticmethod
    def _plain(value: float) -> str:
        return f"{value:.4g}"


def budget_text(budget: float) -> str:
    return f"mean rank {budget:g}"


def place(task: str, budget: float, *, name_task: bool) -> str:
    """`mean rank 2`, or `mean rank 2 on reviews`."""
    return f"{budget_text(budget)} on {task}" if name_task else budget_text(budget)
