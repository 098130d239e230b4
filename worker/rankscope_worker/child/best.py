"""Best: which evaluation was the best one so far, of the model that will be kept."""

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
        """Whether the evaluation of `step` is the best so far; if so, it becomes the one to beat."""
        value = metrics.get(self.metric.name)
        if value is None or not self.is_settled() or not self.metric.is_better(value, self.value):
            return False
        self.value, self.step = value, step
        return True

    def as_note(self) -> dict[str, object]:
        """What is stored in a checkpoint's manifest, so that a resumed attempt continues to compare."""
        return {"metric": self.metric.name, "value": self.value, "step": self.step}

    def recall(self, note: Mapping[str, object]) -> None:
        """Restores `as_note` from the checkpoint that the attempt resumes from."""
        value, step = note.get("value"), note.get("step")
        if note.get("metric") == self.metric.name and isinstance(value, int | float) and isinstance(step, int):
            self.value, self.step = float(value), step
