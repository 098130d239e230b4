"""Metrics: the title, unit and group of each number of a run, and whether lower is better.

A metric without a description is still shown, with a description made from its name.
"""

import math
import re
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

MetricGroup = Literal["training", "evaluation", "speed", "hardware", "other"]

TRAIN_LOSS = "train_loss"
EVAL_LOSS = "eval_loss"
TOKENS_SEEN = "tokens_seen"
STEPS_PER_SECOND = "steps_per_second"
SAMPLES_PER_SECOND = "samples_per_second"
HOST_MEMORY = "host_memory_bytes"
PROCESS_MEMORY = "process_memory_bytes"
CPU = "cpu_percent"
PEAK_MEMORY = "peak_memory_bytes"
PEAK_GPU_MEMORY = "peak_gpu_memory_bytes"

EVALUATION = "eval_"
"""The prefix that Trainer gives to every metric of an evaluation."""
_LOWER_IS_BETTER = frozenset({"loss", "perplexity", "error", "mae", "mse", "rmse"})


class Metric(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """The recorded name. `*` is any number: `gpu*_memory_bytes` describes `gpu0_memory_bytes`."""
    title: str
    """The title for headings. `*` is replaced by the number in the name."""
    unit: str | None = None
    """`bytes`, `percent`, `1/s`; null for a plain number."""
    group: MetricGroup
    lower_is_better: bool = False

    @property
    def short_title(self) -> str:
        """The title without its group, for text about evaluations: `accuracy`, `MCC`."""
        return self.title.removeprefix("Evaluation ")

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether `value` beats `than`. Of two equal values, the earlier is kept; NaN and infinity never win."""
        if not math.isfinite(value):
            return False
        return than is None or (value < than if self.lower_is_better else value > than)


REPORTED = (
    Metric(name=TRAIN_LOSS, title="Train loss", group="training", lower_is_better=True),
    Metric(name="learning_rate", title="Learning rate", group="training"),
    Metric(name="grad_norm", title="Gradient norm", group="training"),
    Metric(name="dem", title="DEM regulariser", group="training", lower_is_better=True),
    Metric(name=EVAL_LOSS, title="Evaluation loss", group="evaluation", lower_is_better=True),
    Metric(name=TOKENS_SEEN, title="Tokens seen", group="other"),
    Metric(name=STEPS_PER_SECOND, title="Steps per second", unit="1/s", group="speed"),
    Metric(name=SAMPLES_PER_SECOND, title="Samples per second", unit="1/s", group="speed"),
    Metric(name=HOST_MEMORY, title="Host memory", unit="bytes", group="hardware"),
    Metric(name=PROCESS_MEMORY, title="Training process memory", unit="bytes", group="hardware"),
    Metric(name=PEAK_MEMORY, title="Peak memory of the training process", unit="bytes", group="hardware"),
    Metric(name=PEAK_GPU_MEMORY, title="Peak memory on the GPU", unit="bytes", group="hardware"),
    Metric(name=CPU, title="Host CPU", unit="percent", group="hardware"),
    Metric(name="gpu*_memory_bytes", title="GPU *: memory", unit="bytes", group="hardware"),
    Metric(name="gpu*_utilization_percent", title="GPU *: utilisation", unit="percent", group="hardware"),
)
"""The metrics that every run records, for every task. The page uses this order within each group."""


def gpu_memory(index: int) -> str:
    return f"gpu{index}_memory_bytes"


def gpu_utilization(index: int) -> str:
    return f"gpu{index}_utilization_percent"


def describe(name: str, known: Iterable[Metric] = REPORTED) -> Metric:
    """Returns the description of a metric from `known`, or one made from its name."""
    pattern, numbers = re.sub(r"\d+", "*", name), re.findall(r"\d+", name)
    for metric in known:
        if metric.name == name:
            return metric
        if metric.name == pattern and len(numbers) == 1:
            return metric.model_copy(update={"name": name, "title": metric.title.replace("*", numbers[0])})
    return _unknown(name)


def is_machine_metric(name: str) -> bool:
    """Whether a metric depends on the clock or the hardware. A resumed run reproduces all others, bit for bit."""
    return describe(name).group in ("speed", "hardware")


def _unknown(name: str) -> Metric:
    words = name.removeprefix(EVALUATION).replace("_", " ").strip() or name
    is_evaluation = name.startswith(EVALUATION)
    return Metric(
        name=name,
        title=f"Evaluation {words}" if is_evaluation else f"{words[:1].upper()}{words[1:]}",
        group="evaluation" if is_evaluation else "other",
        lower_is_better=name.rsplit("_", 1)[-1] in _LOWER_IS_BETTER,
    )
