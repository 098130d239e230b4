"""Task: what the rest of the product asks a task about itself, without knowing which one it is. Never imports torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from rankscope.contract.metrics import EVAL_LOSS, REPORTED, Metric, describe
from rankscope.contract.parts import Part
from rankscope.contract.tasks.targets import Targets


class Task(Part, ABC):
    """Options of a task, and what it says about itself. The half that needs torch is in `rankscope_worker.child.tasks`."""

    name: str

    metrics: ClassVar[tuple[Metric, ...]]
    """What an evaluation computes besides the loss. The first one is the headline: it stands for the run in lists."""
    text_field: ClassVar[str]
    """The option that names the text columns; problems with them are reported there."""
    target_field: ClassVar[str]
    """The option that names the target column."""

    @classmethod
    def headline(cls) -> Metric:
        return cls.metrics[0]

    @classmethod
    def described(cls) -> tuple[Metric, ...]:
        """Every metric that a run of this task can have, in the order of the page."""
        evaluated = [metric for metric in REPORTED if metric.name == EVAL_LOSS]
        others = [metric for metric in REPORTED if metric.name != EVAL_LOSS]
        return (*others, cls.headline(), *evaluated, *cls.metrics[1:])

    @classmethod
    def describe(cls, metric: str) -> Metric:
        return describe(metric, cls.described())

    @classmethod
    def best_by(cls) -> list[str]:
        """Names of the metrics that can choose the best checkpoint: everything that an evaluation computes."""
        return [*(metric.name for metric in cls.metrics), EVAL_LOSS]

    @property
    @abstractmethod
    def texts(self) -> list[str] | None:
        """The text columns; None: the data set's own choice."""

    @property
    @abstractmethod
    def target(self) -> str | None:
        """The target column; None: the data set's own choice."""

    @abstractmethod
    def with_columns(self, texts: Sequence[str], target: str) -> Self:
        """The same task on these columns, by their full names."""

    @abstractmethod
    def targets(self, column: str) -> Targets:
        """What the target column holds: a new reader, for one reading of a data set."""

    @abstractmethod
    def head_outputs(self, labels: Sequence[str]) -> int | None:
        """Outputs of the head that is put on the model; None for a task that needs no new head."""

    def why_not_asked(self) -> str | None:
        """Why single texts cannot be sent to a finished run ("Try it"), as the end of a sentence; None if they can."""
        return None

    @abstractmethod
    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:
        """A Python script that loads the result in `folder` and uses it once.

        `base`: what `from_pretrained` takes as the base model, as a Python expression; None: the folder has all weights.
        """

    @classmethod
    def from_earlier(cls, config: Mapping[str, object]) -> Mapping[str, object]:
        """A configuration in the form of today: a task moves its options from where earlier versions wrote them."""
        return config
