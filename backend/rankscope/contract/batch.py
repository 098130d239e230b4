"""Computes the same optimizer step with less memory."""

from collections.abc import Mapping

from pydantic import BaseModel


class _Batch(BaseModel):
    """The relevant part of a stored configuration. Missing values are 1."""

    batch_size: int = 1
    gradient_accumulation: int = 1


def smaller_batch(config: Mapping[str, object]) -> tuple[int, int] | None:
    """Returns batch size and accumulation for the same rows per step in about half the memory; None for a batch of one."""
    training = _Batch.model_validate(config.get("training", {}))
    batch, accumulation = training.batch_size, training.gradient_accumulation
    smaller = next((size for size in range(batch // 2, 0, -1) if batch % size == 0), None)
    return None if smaller is None else (smaller, accumulation * (batch // smaller))
