"""The same optimizer step in less memory."""

from collections.abc import Mapping
from typing import Any


def smaller_batch(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Batch size and accumulation with the same rows a step in about half the memory; None when the batch is one row."""
    training = config.get("training", {})
    batch, accumulation = int(training.get("batch_size", 1)), int(training.get("gradient_accumulation", 1))
    smaller = next((size for size in range(batch // 2, 0, -1) if batch % size == 0), None)
    return None if smaller is None else (smaller, accumulation * (batch // smaller))
