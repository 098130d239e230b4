"""How many tokens a training has seen: those of its inputs, without padding."""

from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerState

_COUNT = "rankscope_token_count"
Collate = Callable[[list[Any]], Mapping[str, Any]]


def counting(collate: Collate) -> Collate:
    """The same batches with their number of tokens. It is counted before they go to a GPU, so that nothing waits for one."""
    return lambda rows: {_COUNT: sum(len(row["input_ids"]) for row in rows), **collate(rows)}


def take_count(inputs: dict[str, Any], state: TrainerState) -> None:
    """Removes the number of tokens from a training batch, and adds it to the state, which checkpoints keep.

    A training that continues from a checkpoint without a count has none.
    """
    count = inputs.pop(_COUNT, 0)
    if state.global_step == 0 or state.num_input_tokens_seen > 0:
        state.num_input_tokens_seen += count
