"""Subjects: the configurations that are trained under faults. Tiny, but with all state that a resume must restore."""

from pathlib import Path
from typing import Any

from tests.tiny import make_reviews, make_tiny_bert

STEPS = 60
WINDOW = (12, 42)
"""Steps of the pruning window of every dynamic_rank subject; the last one has the final mask and compaction."""

_DYNAMIC: dict[str, Any] = {
    "name": "dynamic_rank",
    "target_rank": 2,
    "prune_interval": 3,
    "warmup_ratio": WINDOW[0] / STEPS,
    "prune_end_ratio": WINDOW[1] / STEPS,
    "lora_dropout": 0.1,
}


def _subject(method: dict[str, Any], **training: Any) -> dict[str, Any]:
    short = {
        "max_steps": STEPS,
        "batch_size": 16,
        "max_length": 24,
        "learning_rate": 1e-2,
        "eval_every": 20,
        "checkpoint_every": 6,
        "keep_checkpoints": 3,
    }
    return {
        "model": {"id": "local:tiny-bert"},
        "data": {"id": "local:reviews"},
        "method": method,
        "training": short | training,
        "hardware": {"device": "cpu"},
    }


SUBJECTS: dict[str, dict[str, Any]] = {
    "compacted": _subject(_DYNAMIC, seed=1),
    "accumulated": _subject(_DYNAMIC | {"init": "zero_b"}, seed=2, gradient_accumulation=2, checkpoint_every=5),
    "masked": _subject(_DYNAMIC | {"compact": False, "schedule": "linear"}, seed=3, checkpoint_every=4),
    "lora": _subject({"name": "lora", "rank": 2}, seed=4),
}


def make_catalogue(folder: Path) -> Path:
    """A folder with the model and the data set of the subjects."""
    make_tiny_bert(folder / "models" / "tiny-bert", hidden=64, layers=2)
    make_reviews(folder / "datasets" / "reviews.csv")
    return folder
