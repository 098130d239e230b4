"""Best: keeps track of the best evaluation of the final model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rankscope.contract.manifest import BestNote
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

    def as_note(self) -> BestNote:
        """Returns the state to store in a checkpoint's manifest, so that a resumed attempt continues the comparison."""
        return {"metric": self.metric.name, "value": self.value, "step": self.step}

    def recall(self, note: BestNote | None) -> None:
        """Restores `as_note` from the checkpoint that the attempt resumes from."""
        if note is None or note.get("metric") != self.metric.name:
            return
        value, step = note.get("value"), note.get("step")
        if isinstance(value, int | float) and isinstance(step, int):
            self.value, self.step = float(value), step
