"""A stack with a tiny model and a small data set, whose trainings take seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.orders import hooked
from tests.forked_commands import ForkedCommands
from tests.stack import Stack
from tests.tiny import make_reviews, make_tiny_bert


@contextmanager
def tiny_stack(
    folder: Path,
    *,
    layers: int = 2,
    forked: ForkedCommands | None = None,
    has_worker: bool = True,
    pace_s: float = 0.02,
    **settings: Any,
) -> Iterator[Stack]:
    """Valkey, API and a worker in `folder`, with the model tiny-bert and the data set reviews.

    Every training step takes `pace_s` longer, as with a larger model: at three hundred steps per second, training and
    drawing would use all cores.
    """
    stack = Stack(folder, forked=forked, **settings)
    stack.environment |= hooked(folder.parent / "faults", pace_s=pace_s)
    make_tiny_bert(stack.settings.models_dir / "tiny-bert", layers=layers)
    make_reviews(stack.settings.datasets_dir / "reviews.csv")
    try:
        stack.start_valkey()
        stack.start_api()
        if has_worker:
            stack.start_worker()
        yield stack
    finally:
        stack.stop()
