"""How well a language model predicts the tokens of a batch, without keeping its logits."""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IGNORED = -100
"""The target of a token that does not count."""


def token_scores(logits: Tensor, targets: Tensor, *, shift: int) -> Tensor:
    """Returns, for each row, the sum of the negative log-likelihoods, the right tokens, and the counted tokens.

    Computed row by row, in float32: the log-probabilities of a whole batch would take as much memory as the logits.
    `shift` 1: the logits at a token predict the next one.

    Shapes: logits (rows, length, vocabulary), targets (rows, length) -> (rows, 3).
    """
    return torch.stack(
        [_of_row(row[: len(row) - shift], target[shift:]) for row, target in zip(logits, targets, strict=True)]
    )


def _of_row(logits: Tensor, targets: Tensor) -> Tensor:
    counted = targets != IGNORED
    logits, targets = logits[counted].float(), targets[counted]
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    right = (logits.argmax(-1) == targets).sum()
    return torch.stack([loss.double(), right.double(), counted.sum().double()])


def token_means(scores: npt.NDArray[np.floating]) -> dict[str, npt.NDArray[np.float64]]:
    """Returns loss and accuracy of each row, as means over its counted tokens. Shapes: (rows, 3) -> (rows,) each."""
    loss, right, tokens = np.asarray(scores, dtype=np.float64).T
    return {"loss": loss / tokens, "token_accuracy": right / tokens}


def perplexity_and_accuracy(scores: npt.NDArray[np.floating]) -> dict[str, float]:
    """Returns exp of the mean negative log-likelihood of all counted tokens, and the share of right ones."""
    loss, right, tokens = np.asarray(scores).sum(axis=0).tolist()
    mean = loss / tokens
    return {
        "perplexity": math.exp(mean) if mean < 700 else math.inf if mean == mean else math.nan,
        "token_accuracy": right / tokens,
    }
