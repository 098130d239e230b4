"""Imports the training stack without garbage collections in between, and without unneeded libraries."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_QUANTISATION = "bitsandbytes"
_NEVER_NEEDED = "datasets"
_NEEDED_LATER = "scipy"


class HiddenLibrary(Exception):
    """This process has hidden a library that is needed now. Only a new process can import it."""


@contextmanager
def fast_imports(*, with_quantisation: bool = True) -> Iterator[None]:
    """Pauses garbage collection; later collections skip the objects that exist by the end of the block.

    Importing torch, transformers and PEFT makes millions of objects that live as long as the process. Scanning them for
    garbage repeatedly during the imports is wasted work.

    transformers and PEFT also import optional libraries wherever these are installed; those that the run doesn't need
    are hidden from this process. bitsandbytes takes a fifth of all imports, and only quantised weights need it
    (`with_quantisation`). datasets, which brings pandas, takes 8 %, and RankScope reads data in its own way.
    transformers imports scipy only for object detection; it is hidden only during these imports, because a task's
    metrics may need it.

    Raises HiddenLibrary if bitsandbytes is needed now, and was hidden earlier.
    """
    if with_quantisation and sys.modules.get(_QUANTISATION, sys) is None:
        raise HiddenLibrary(_QUANTISATION)
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
