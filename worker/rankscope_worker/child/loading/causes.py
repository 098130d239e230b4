"""Finds the cause of an exception. Never imports torch."""

import errno
import re
from typing import Literal

_LONGEST = 1000
_HOST = re.compile(
    r"^\[enforce fail at \S*alloc_cpu\S*\].*DefaultCPUAllocator|^std::bad_alloc$|^bad allocation$", re.DOTALL
)
_GPU = re.compile(r"^(CUDA out of memory\.|CUDA error: out of memory\b)")


def out_of_memory(error: BaseException) -> Literal["out_of_memory", "out_of_gpu_memory"] | None:
    """Which memory ran out; None for an error of another kind.

    Decided by the type and the allocator's message, never by words in other text, of the error itself or of the one it
    was raised from: a library may wrap an allocator's error.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or (isinstance(seen, OSError) and seen.errno == errno.ENOMEM):
            return "out_of_memory"
        if isinstance(seen, ImportError) and str(seen).endswith(": Cannot allocate memory"):
            return "out_of_memory"
        if isinstance(seen, RuntimeError):
            text = str(seen)
            # torch.OutOfMemoryError by name, so that supervising modules need no torch.
            if type(seen).__name__ == "OutOfMemoryError" or _GPU.search(text):
                return "out_of_gpu_memory"
            if _HOST.search(text):
                return "out_of_memory"
        seen = seen.__cause__
    return None


def is_of_the_host(error: BaseException) -> bool:
    """Whether the host failed to open or store a file, regardless of its content."""
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EMFILE,
        errno.ENFILE,
        errno.EIO,
    )


def is_panic(error: BaseException) -> bool:
    """Whether a library written in Rust, such as tokenizers, panicked. A panic is not derived from Exception."""
    return type(error).__name__ == "PanicException"


def one_line(error: BaseException) -> str:
    """Returns the error's message without line breaks, shortened for a sentence."""
    return " ".join(str(error).split())[:_LONGEST]


def name_of(error: BaseException) -> str:
    """Returns type and message, like the last line of a traceback."""
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
