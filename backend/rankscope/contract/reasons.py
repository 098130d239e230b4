"""Why a run ended or waits: the stable words of `Run.reason`, with what a person reads."""

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "stopped_saved": "stopped with a checkpoint",
    "stopped_unsaved": "stopped without a checkpoint",
    "cancelled": "taken out of the queue",
    "resumed": "resumed",
    "retried": "retried",
    "out_of_memory": "out of memory",
    "out_of_gpu_memory": "out of GPU memory",
    "disk_full": "disk full",
    "child_killed": "killed",
    "child_stopped": "stopped from outside",
    "worker_lost": "lost its worker",
    "worker_drained": "its worker was shut down",
    "nan_loss": "the loss is NaN",
    "bad_data": "the data cannot be used",
    "missing_model": "the model cannot be used",
    "data_changed": "the data set has changed",
    "model_changed": "the model has changed",
    "bad_input": "the configuration cannot work",
    "damaged_checkpoint": "no whole checkpoint",
    "error": "error",
}

OUT_OF_MEMORY = frozenset({"out_of_memory", "out_of_gpu_memory"})

UNCHANGED_WOULD_FAIL = frozenset(
    {"bad_data", "missing_model", "data_changed", "model_changed", "bad_input", "damaged_checkpoint"}
)
"""Nothing of this is tried again by itself, and a resume as it is would end the same way."""

FILES_AT_FAULT = frozenset({"bad_data", "missing_model", "data_changed", "model_changed"})
"""Of them, those that a resume gets past once the files are right again, with or without a checkpoint."""
