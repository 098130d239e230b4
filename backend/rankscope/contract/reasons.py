"""Why a run ended or is waiting: the stable names in `Run.reason`, with the text shown to users."""

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "stopped_saved": "stopped with a checkpoint",
    "stopped_unsaved": "stopped without a checkpoint",
    "cancelled": "removed from the queue",
    "resumed": "resumed",
    "retried": "retried",
    "out_of_memory": "out of memory",
    "out_of_gpu_memory": "out of GPU memory",
    "disk_full": "disk full",
    "child_killed": "killed",
    "child_stopped": "stopped by a signal",
    "worker_lost": "lost its worker",
    "worker_drained": "its worker was shut down",
    "worker_outdated": "its worker runs code of an earlier installation",
    "nan_loss": "the loss is NaN",
    "bad_data": "the data can't be used",
    "missing_model": "the model can't be used",
    "data_changed": "the data set has changed",
    "model_changed": "the model has changed",
    "bad_input": "invalid configuration",
    "damaged_checkpoint": "no complete checkpoint",
    "error": "error",
}


def reason_title(reason: str | None) -> str | None:
    """The text of a reason; one of an older version, which is not listed, in its words."""
    return None if reason is None else REASONS.get(reason, reason.replace("_", " "))


OUT_OF_MEMORY = frozenset({"out_of_memory", "out_of_gpu_memory"})

UNCHANGED_WOULD_FAIL = frozenset(
    {"bad_data", "missing_model", "data_changed", "model_changed", "bad_input", "damaged_checkpoint"}
)
"""These are never retried automatically, and a resume without a change would end in the same way."""

FILES_AT_FAULT = frozenset({"bad_data", "missing_model", "data_changed", "model_changed"})
"""Reasons after which a resume succeeds once the files are restored, with or without a checkpoint."""
