"""ROUGE of generated texts, with Porter's stemmer, as rouge-score computes it."""

from collections.abc import Sequence

_KINDS = ("rouge1", "rouge2", "rougeL")


def rouge_scores(texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """Returns the mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L, between 0 and 1."""
    scores = rouge_of_each(texts, targets)
    return {kind: sum(score[kind] for score in scores) / len(scores) for kind in _KINDS}


def rouge_of_each(texts: Sequence[str], targets: Sequence[str]) -> list[dict[str, float]]:
    """Returns the F1 of ROUGE-1, ROUGE-2 and ROUGE-L of each text."""
    # Loads nltk, which takes seconds, and only one task needs it.
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(_KINDS), use_stemmer=True)
    scores = [scorer.score(target, text) for text, target in zip(texts, targets, strict=True)]
    return [{kind: score[kind].fmeasure for kind in _KINDS} for score in scores]
