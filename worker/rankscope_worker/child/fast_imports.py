"""Imports of the training stack without garbage collections in between, and without what the run doesn't need."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_QUANTISATION = "bitsandbytes"
_NEVER_NEEDED = "datasets"


@contextmanager
def fast_imports(*, with_quantisation: bool = True) -> Iterator[None]:
    """Pauses garbage collection; later collections skip whatever exists by then.

    Importing torch, transformers and PEFT makes millions of objects that live as long as the process. Searching them for
    garbage, again and again while they are made, is wasted.

    transformers and PEFT also import optional libraries wherever these are installed; those that the run doesn't need are
    hidden from this process. bitsandbytes takes a fifth of all imports, and only quantised weights need it
    (`with_quantisation`). datasets, which brings pandas, takes 8 %, and RankScope reads data in its own way.
    """
    for name in (_NEVER_NEEDED, *([] if with_quantisation else [_QUANTISATION])):
        if name not in sys.modules:
            sys.modules[name] = None  # type: ignore[assignment]  # Python's own mark of a module that can't be imported
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
