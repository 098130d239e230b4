"""Task: everything that the rest of the product needs to know about a task. Never imports torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from rankscope.contract.metrics import EVAL_LOSS, REPORTED, Metric, describe
from rankscope.contract.parts import Part
from rankscope.contract.tasks.targets import Targets


class Task(Part, ABC):
    """Options and properties of a task. The part that needs torch is in `rankscope_worker.child.tasks`."""

    name: str

    metrics: ClassVar[tuple[Metric, ...]]
    """The metrics of an evaluation besides the loss. The first one is the headline metric, shown in lists."""
    text_field: ClassVar[str]
    """The option with the text columns, at which their problems are reported."""
    target_field: ClassVar[str]
    """The option with the target column."""

    @classmethod
    def headline(cls) -> Metric:
        return cls.metrics[0]

    @classmethod
    def described(cls) -> tuple[Metric, ...]:
        """Returns every metric that a run of this task can have, in the order of the page."""
        evaluated = [metric for metric in REPORTED if metric.name == EVAL_LOSS]
        others = [metric for metric in REPORTED if metric.name != EVAL_LOSS]
        return (*others, cls.headline(), *evaluated, *cls.metrics[1:])

    @classmethod
    def describe(cls, metric: str) -> Metric:
        return describe(metric, cls.described())

    @classmethod
    def best_by(cls) -> list[str]:
        """Returns the names of the metrics that can determine the best checkpoint: all metrics of an evaluation."""
        return [*(metric.name for metric in cls.metrics), EVAL_LOSS]

    @property
    @abstractmethod
    def texts(self) -> list[str] | None:
        """The text columns; None: the data set's default."""

    @property
    @abstractmethod
    def target(self) -> str | None:
        """The target column; None: the data set's default."""

    @abstractmethod
    def with_columns(self, texts: Sequence[str], target: str) -> Self:
        """Returns the task with these columns, given by their exact names."""

    @abstractmethod
    def targets(self, column: str) -> Targets:
        """Returns a new reader of the target column, for one pass over a data set."""

    @abstractmethod
    def head_outputs(self, labels: Sequence[str]) -> int | None:
        """Returns the number of outputs of the head that is added to the model; None for a task without a new head."""

    def why_no_predictions(self) -> str | None:
        """Returns why a finished run can't predict single texts ("Try it"), as the end of a sentence; None if it can."""
        return None

    @abstractmethod
    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:
        """Returns a Python script that loads the result in `folder` and uses it once.

        `base`: the base model for `from_pretrained`, as a Python expression. None: the folder has all weights.
        """

    @classmethod
    def from_earlier(cls, config: Mapping[str, object]) -> Mapping[str, object]:
        """Converts a configuration of an earlier version: moves the task's options from where they were stored then."""
        return config
