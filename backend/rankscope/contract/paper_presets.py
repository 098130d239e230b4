"""Presets for the data sets of the paper (Mao et al. 2024), with its method's defaults: target rank 8, pruning every 100 steps.

Models and data are those of the hub, under the names `roberta-base` and `glue-cola` in this installation's folders, with the
hub's columns. The numbers of epochs are this project's.
"""

from rankscope.contract.config import RunConfig
from rankscope.contract.preset import Preset

_GLUE: tuple[tuple[str, str, str, str | None, int], ...] = (
    # key, title, task, metric of the benchmark if it is not the task's headline metric, epochs
    ("cola", "CoLA", "text_classification", "eval_mcc", 10),
    ("mnli", "MNLI", "text_classification", None, 3),
    ("mrpc", "MRPC", "text_classification", "eval_f1", 10),
    ("qnli", "QNLI", "text_classification", None, 3),
    ("qqp", "QQP", "text_classification", "eval_f1", 3),
    ("rte", "RTE", "text_classification", None, 10),
    ("sst2", "SST-2", "text_classification", None, 3),
    ("stsb", "STS-B", "regression", None, 10),
)


def glue_presets() -> list[Preset]:
    return [
        Preset(
            f"glue-{key}",
            f"{title} with RoBERTa-base",
            f"GLUE's {title}: {epochs} epochs of batches of 16, dynamic rank with target rank 8. "
            f"Needs models/roberta-base and datasets/glue-{key}.jsonl (or .csv) in the data folder.",
            RunConfig.model_validate(
                {
                    "model": {"id": "local:roberta-base"},
                    "data": {"id": f"local:glue-{key}"},
                    "task": {"name": task},
                    "method": {"name": "dynamic_rank"},
                    "training": {
                        "epochs": epochs,
                        "batch_size": 16,
                        "learning_rate": 1e-4,
                        "max_length": 128,
                        "eval_every": 500,
                        "checkpoint_every": 500,
                        "best_metric": metric,
                    },
                }
            ),
            group="GLUE, as in the paper",
        )
        for key, title, task, metric, epochs in _GLUE
    ]
