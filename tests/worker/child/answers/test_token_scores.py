"""Scores of tokens equal those of a loop over the tokens."""

import math

import torch

from rankscope_worker.child.answers.token_scores import IGNORED, perplexity_and_accuracy, token_scores


def test_perplexity_and_accuracy_equal_a_loop_over_the_tokens() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 5, 7, dtype=torch.bfloat16)
    targets = torch.tensor([[1, 2, IGNORED, 3, 4], [IGNORED, IGNORED, 5, IGNORED, 6], [0, 0, 0, 0, IGNORED]])
    losses, right = [], []
    for row, labels in zip(logits.float(), targets, strict=True):
        for at in range(1, 5):
            if labels[at] != IGNORED:
                losses.append(-math.log(float(row[at - 1].softmax(-1)[labels[at]])))
                right.append(int(row[at - 1].argmax()) == int(labels[at]))
    found = perplexity_and_accuracy(token_scores(logits, targets, shift=1).numpy())
    assert math.isclose(found["perplexity"], math.exp(sum(losses) / len(losses)), rel_tol=1e-5)
    assert found["token_accuracy"] == sum(right) / len(right)


def test_a_diverged_model_has_no_finite_perplexity() -> None:
    scores = token_scores(torch.full((1, 3, 4), math.nan), torch.tensor([[0, 1, 2]]), shift=1)
    assert math.isnan(perplexity_and_accuracy(scores.numpy())["perplexity"])
