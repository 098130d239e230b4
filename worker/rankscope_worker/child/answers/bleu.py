"""BLEU and chrF of generated texts, as sacrebleu computes them: for translations, with its default tokenizer."""

from collections.abc import Sequence


def bleu_scores(texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """Returns BLEU and chrF2 of all texts together, between 0 and 1."""
    # Takes a second to load, and only one task needs it.
    from sacrebleu import corpus_bleu, corpus_chrf

    references = [list(targets)]
    return {
        "bleu": corpus_bleu(list(texts), references).score / 100,
        "chrf": corpus_chrf(list(texts), references).score / 100,
    }
