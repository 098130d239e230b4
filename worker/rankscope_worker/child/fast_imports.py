"""Imports of the training stack without garbage collections in between."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fast_imports() -> Iterator[None]:
    """Pauses garbage collection; later collections skip whatever exists by then.

    Importing torch, transformers and PEFT makes millions of objects that live as long as the process. Searching them for
    garbage, again and again while they are made, is wasted.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
