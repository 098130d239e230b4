"""Several rows of a batch in one sequence, so that less padding is computed. Rows don't see each other.

The position ids of each row begin at 0, and there is no padding mask: from these, transformers builds attention masks
in which a token sees only tokens of the same row. `check_packable` rejects a model that doesn't build its mask this
way.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rankscope_worker.child.answers.token_scores import IGNORED
from rankscope_worker.child.loading.file_errors import UnusableModel

Tokens = Mapping[str, Sequence[int]]


def packed(rows: Sequence[Tokens], max_length: int, padding: int) -> dict[str, Tensor]:
    """Returns the rows as one batch, packed by first fit into sequences of at most `max_length` tokens.

    The first token of a row is not predicted, as without packing. The padding of a sequence is a separate row.
    """
    blocks: list[list[Tokens]] = []
    free: list[int] = []
    for row in sorted(rows, key=lambda row: -len(row["input_ids"])):  # a stable sort: the same rows give the same batch
        length = len(row["input_ids"])
        at = next((block for block, room in enumerate(free) if room >= length), len(blocks))
        if at == len(blocks):
            blocks.append([])
            free.append(max(length, max_length))
        blocks[at].append(row)
        free[at] -= length
    width = max(sum(len(row["input_ids"]) for row in block) for block in blocks)
    ids, labels, positions = [], [], []
    for block in blocks:
        missing = width - sum(len(row["input_ids"]) for row in block)
        ids.append([id for row in block for id in row["input_ids"]] + [padding] * missing)
        labels.append([one for row in block for one in (IGNORED, *row["labels"][1:])] + [IGNORED] * missing)
        positions.append([at for row in block for at in range(len(row["input_ids"]))] + list(range(missing)))
    return {
        "input_ids": torch.tensor(ids),
        "labels": torch.tensor(labels),
        "position_ids": torch.tensor(positions),
    }


def packing_collator(max_length: int, padding: int) -> Callable[[list[Any]], Mapping[str, Any]]:
    return lambda rows: packed(rows, max_length, padding)


@torch.no_grad()
def check_packable(model: nn.Module) -> None:
    """Raises UnusableModel if a row's outputs depend on the row before it in the same sequence."""
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise _not_packable("takes no position_ids")
    first, second = torch.arange(3, 8), torch.arange(8, 14)
    both = torch.cat([first, second])[None]
    positions = torch.cat([torch.arange(len(first)), torch.arange(len(second))])[None]
    was_training = model.training
    model.eval()
    try:
        alone = model(input_ids=second[None]).logits
        together = model(input_ids=both, position_ids=positions).logits[:, len(first) :]
        seen = model(input_ids=both).logits[:, len(first) :]
    finally:
        model.train(was_training)
    # Far smaller than the change if the second row did see the first one.
    if (together - alone).abs().max() > 0.1 * (seen - alone).abs().max():
        raise _not_packable("lets the rows of a packed sequence see each other")


def _not_packable(why: str) -> UnusableModel:
    return UnusableModel(f"The model {why}, so its rows can't be packed. Set task.pack to false, or use another model.")
