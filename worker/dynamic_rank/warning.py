"""RankWarning: a problem that does not stop training, with a stable code and a fix."""

from __future__ import annotations

import warnings
from collections.abc import Callable

OnWarning = Callable[[str, str], None]


class RankWarning(UserWarning):
    """Issued with `warnings.warn` if no `on_warning` hook was given."""


class Warner:
    """Reports each code at most once, to the hook or with `warnings.warn`."""

    def __init__(self, on_warning: OnWarning | None = None) -> None:
        self.on_warning = on_warning
        self._reported: set[str] = set()

    def __call__(self, code: str, message: str) -> None:
        if code in self._reported:
            return
        self._reported.add(code)
        if self.on_warning is not None:
            self.on_warning(code, message)
        else:
            warnings.warn(f"[{code}] {message}", RankWarning, stacklevel=3)
