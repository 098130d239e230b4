"""Metrics of each evaluation part, for a data set that names several, such as MNLI's matched and mismatched rows."""

import re
from collections.abc import Sequence

from rankscope.catalog.data.part_names import kind_of
from rankscope_worker.child.tasks import Evaluation, TrainedTask


def part_metrics(task: TrainedTask, evaluation: Evaluation, parts: Sequence[str]) -> dict[str, float]:
    """Returns `matched_accuracy` and so on, for `parts`, the part of each evaluation row; nothing for a single part."""
    names = list(dict.fromkeys(parts))
    if len(names) < 2:
        return {}
    return {
        f"{prefix}_{metric}": value
        for name, prefix in zip(names, prefixes(names), strict=True)
        for metric, value in task.metrics_of(
            evaluation, [row for row, part in enumerate(parts) if part == name]
        ).items()
    }


def prefixes(parts: Sequence[str]) -> list[str]:
    """Returns a prefix for each part: `matched` for `validation_matched`, or the full names if two would be equal."""
    whole = [_words(part) for part in parts]
    short = [words.partition("_")[2] if kind_of(part) else words for part, words in zip(parts, whole, strict=True)]
    chosen = short if all(short) and len(set(short)) == len(short) else whole
    # Different names may consist of the same words: a-b and a_b.
    return [one if chosen.count(one) == 1 else f"{one}_{number + 1}" for number, one in enumerate(chosen)]


def _words(part: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", part.casefold())[:60].strip("_") or "part"
