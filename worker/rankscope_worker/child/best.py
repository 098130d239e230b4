"""Best: keeps track of the best evaluation of the final model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rankscope.contract.metrics import Metric


@dataclass
class Best:
    """Evaluations before the ranks are final are of a larger model and don't count."""

    metric: Metric
    is_settled: Callable[[], bool]
    value: float | None = None
    step: int | None = None

    def see(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Returns whether the evaluation at `step` is the best so far, and keeps it if so."""
        value = metrics.get(self.metric.name)
        if value is None or not self.is_settled() or not self.metric.is_better(value, self.value):
            return False
        self.value, self.step = value, step
        return True

    def as_note(self) -> dict[str, object]:
        """Returns the state to store in a checkpoint's manifest, so that a resumed attempt continues the comparison."""
        return {"metric": self.metric.name, "value": self.value, "step": self.step}

    def recall(self, note: Mapping[str, object]) -> None:
        """Restores `as_note` from the checkpoint that the attempt resumes from."""
        value, step = note.get("value"), note.get("step")
        if note.get("metric") == self.metric.name and isinstance(value, int | float) and isinstance(step, int):
            self.value, self.step = float(value), step
