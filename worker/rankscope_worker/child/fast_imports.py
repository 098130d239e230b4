"""Imports of the training stack without garbage collections in between, and without what the run doesn't need."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_QUANTISATION = "bitsandbytes"


@contextmanager
def fast_imports(*, with_quantisation: bool = True) -> Iterator[None]:
    """Pauses garbage collection; later collections skip whatever exists by then.

    Importing torch, transformers and PEFT makes millions of objects that live as long as the process. Searching them for
    garbage, again and again while they are made, is wasted.

    `with_quantisation=False` hides bitsandbytes from this process. PEFT imports it wherever it is installed, which takes a
    fifth of all imports, and only quantised weights need it.
    """
    if not with_quantisation and _QUANTISATION not in sys.modules:
        sys.modules[_QUANTISATION] = None  # type: ignore[assignment]  # Python's own mark of a module that can't be imported
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
