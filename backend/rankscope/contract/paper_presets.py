"""Presets for the data sets of the paper (Mao et al. 2024), with its method's defaults: target rank 8, pruning every 100 steps.

Models and data are those of the hub: downloaded, or under the names `roberta-base` and `glue-cola` in this installation's
folders, with the hub's columns and its splits in a column `split`. The numbers of epochs, and the lengths and beams of
summaries, are this project's.
"""

from rankscope.contract.config import RunConfig
from rankscope.contract.downloads import DataDownloadPayload, DownloadPayload
from rankscope.contract.preset import Preset

_ROBERTA = DownloadPayload(hub_id="FacebookAI/roberta-base")
_BART = DownloadPayload(hub_id="facebook/bart-base")
CONVERTED = "refs/convert/parquet"
"""Where huggingface.co keeps Parquet copies of data sets that are code."""

_GLUE: tuple[tuple[str, str, str, str | None, int], ...] = (
    # key, title, task, metric of the benchmark if it is not the task's usual headline metric, epochs
    ("cola", "CoLA", "text_classification", "eval_mcc", 10),
    ("mnli", "MNLI", "text_classification", None, 3),
    ("mrpc", "MRPC", "text_classification", "eval_f1", 10),
    ("qnli", "QNLI", "text_classification", None, 3),
    ("qqp", "QQP", "text_classification", "eval_f1", 3),
    ("rte", "RTE", "text_classification", None, 10),
    ("sst2", "SST-2", "text_classification", None, 3),
    ("stsb", "STS-B", "regression", None, 10),
)

_LONG_TRAINING: dict[str, object] = {
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 1e-4,
    "eval_every": 1000,
    "checkpoint_every": 500,
}
_SUMMARIES: tuple[tuple[str, str, str, int, dict[str, object]], ...] = (
    ("xsum", "XSum", "xsum", 512, {"max_target_length": 64}),
    (
        "cnn-dailymail",
        "CNN/DailyMail",
        "cnn_dailymail",
        1024,
        {"max_target_length": 142, "min_target_length": 56, "length_penalty": 2.0, "no_repeat_ngram_size": 3},
    ),
)

_SUMMARY_DATA = {
    "xsum": DataDownloadPayload(hub_id="EdinburghNLP/xsum", revision=CONVERTED),
    "cnn_dailymail": DataDownloadPayload(hub_id="abisee/cnn_dailymail", subset="3.0.0"),
}


def glue_presets() -> list[Preset]:
    return [
        Preset(
            f"glue-{key}",
            f"{title} with RoBERTa-base",
            f"GLUE's {title}: {epochs} epochs of batches of 16, dynamic rank with target rank 8.",
            RunConfig.model_validate(
                {
                    "model": {"id": "local:roberta-base"},
                    "data": {"id": f"local:glue-{key}", "split": "parts"},
                    "task": {"name": task, "headline_metric": metric},
                    "method": {"name": "dynamic_rank"},
                    "training": {
                        "epochs": epochs,
                        "batch_size": 16,
                        "learning_rate": 1e-4,
                        "max_length": 128,
                        "eval_every": 500,
                        "checkpoint_every": 500,
                    },
                }
            ),
            group="GLUE, as in the paper",
            hub_model=_ROBERTA,
            hub_data=DataDownloadPayload(hub_id="nyu-mll/glue", subset=key),
        )
        for key, title, task, metric, epochs in _GLUE
    ]


def squad_presets() -> list[Preset]:
    return [
        Preset(
            key,
            f"{title} with RoBERTa-base",
            f"Extractive question answering on {title}: 3 epochs of batches of 16, dynamic rank with target rank 8.",
            RunConfig.model_validate(
                {
                    "model": {"id": "local:roberta-base"},
                    "data": {"id": f"local:{data}", "split": "parts"},
                    "task": {"name": "question_answering", "unanswerable": unanswerable},
                    "method": {"name": "dynamic_rank"},
                    "training": _LONG_TRAINING | {"max_length": 384},
                }
            ),
            group="SQuAD, as in the paper",
            hub_model=_ROBERTA,
            hub_data=DataDownloadPayload(hub_id=f"rajpurkar/{data}"),
        )
        for key, title, data, unanswerable in (
            ("squad", "SQuAD 1.1", "squad", False),
            ("squad-2", "SQuAD 2.0", "squad_v2", True),
        )
    ]


def summary_presets() -> list[Preset]:
    return [
        Preset(
            key,
            f"{title} with BART-base",
            f"Summaries of {title}: 3 epochs of batches of 16, dynamic rank with target rank 8.",
            RunConfig.model_validate(
                {
                    "model": {"id": "local:bart-base"},
                    "data": {"id": f"local:{data}", "split": "parts"},
                    "task": {"name": "text_to_text", "generated_rows": 500, **lengths},
                    "method": {"name": "dynamic_rank"},
                    "training": _LONG_TRAINING | {"max_length": max_length},
                }
            ),
            group="Summaries, as in the paper",
            hub_model=_BART,
            hub_data=_SUMMARY_DATA[data],
        )
        for key, title, data, max_length, lengths in _SUMMARIES
    ]
