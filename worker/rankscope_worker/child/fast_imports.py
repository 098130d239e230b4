"""Imports of the training stack without garbage collections in between, and without what the run doesn't need."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_QUANTISATION = "bitsandbytes"
_NEVER_NEEDED = "datasets"
_NEEDED_LATER = "scipy"


@contextmanager
def fast_imports(*, with_quantisation: bool = True) -> Iterator[None]:
    """Pauses garbage collection; later collections skip whatever exists by then.

    Importing torch, transformers and PEFT makes millions of objects that live as long as the process. Searching them for
    garbage, again and again while they are made, is wasted.

    transformers and PEFT also import optional libraries wherever these are installed; those that the run doesn't need are
    hidden from this process. bitsandbytes takes a fifth of all imports, and only quantised weights need it
    (`with_quantisation`). datasets, which brings pandas, takes 8 %, and RankScope reads data in its own way. scipy is for
    object detection in transformers: it is hidden only meanwhile, because a task's metrics may need it.
    """
    hidden = [_NEVER_NEEDED, _NEEDED_LATER, *([] if with_quantisation else [_QUANTISATION])]
    hidden = [name for name in hidden if name not in sys.modules]
    # Python's own mark of a module that can't be imported.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    gc.disable()
    try:
        yield
    finally:
        if _NEEDED_LATER in hidden:
            del sys.modules[_NEEDED_LATER]
        gc.freeze()
        gc.enable()
