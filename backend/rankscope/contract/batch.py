"""The same optimizer step in less memory."""

from collections.abc import Mapping

from pydantic import BaseModel


class _Batch(BaseModel):
    """The part of a stored configuration that matters here; what is missing is 1."""

    batch_size: int = 1
    gradient_accumulation: int = 1


def smaller_batch(config: Mapping[str, object]) -> tuple[int, int] | None:
    """Batch size and accumulation with the same rows a step in about half the memory; None when the batch is one row."""
    training = _Batch.model_validate(config.get("training", {}))
    batch, accumulation = training.batch_size, training.gradient_accumulation
    smaller = next((size for size in range(batch // 2, 0, -1) if batch % size == 0), None)
    return None if smaller is None else (smaller, accumulation * (batch // smaller))
