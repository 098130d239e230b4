"""The part of each task that needs torch, by its name in the configuration."""

from collections.abc import Callable, Mapping, Sequence

from rankscope.contract.tasks import Task
from rankscope_worker.child.tasks.causal_language_model import CausalLanguageModel
from rankscope_worker.child.tasks.multi_label import MultiLabelClassification
from rankscope_worker.child.tasks.question_answering import QuestionAnswering
from rankscope_worker.child.tasks.regression import Regression
from rankscope_worker.child.tasks.task import Evaluation, Learned, NotFinite, TrainedTask
from rankscope_worker.child.tasks.text_classification import TextClassification
from rankscope_worker.child.tasks.text_to_text import TextToText
from rankscope_worker.child.tasks.token_classification import TokenClassification

TRAINED: Mapping[str, Callable[[Task, Sequence[str]], TrainedTask]] = {
    "text_classification": TextClassification,
    "regression": Regression,
    "multi_label": MultiLabelClassification,
    "token_classification": TokenClassification,
    "causal_language_model": CausalLanguageModel,
    "text_to_text": TextToText,
    "question_answering": QuestionAnswering,
}


def trained_task(options: Task, labels: Sequence[str]) -> TrainedTask:
    """Returns the task of a run with these labels."""
    return TRAINED[options.name](options, labels)


__all__ = ["TRAINED", "Evaluation", "Learned", "NotFinite", "TrainedTask", "trained_task"]
