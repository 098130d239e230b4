"""ModuleNames: finds a module by its full name in another model with the same body. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

_AMBIGUOUS = ""


class ModuleNames:
    """Full names of a model's modules.

    The same layer has another prefix in a model with another head: `transformer.encoder.block.0...q` in T5's classifier is
    `encoder.block.0...q` in its language model.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._by_end: dict[str, str] = {}
        for name in self._names:
            for end in _ends(name):
                self._by_end[end] = _AMBIGUOUS if end in self._by_end else name

    def find(self, wanted: str) -> str | None:
        """This model's name of the module that another model with this body calls `wanted`; None if there is none.

        Only for layers in numbered blocks, whose names remain unique without a prefix.
        """
        if wanted in self._names:
            return wanted
        if not _has_number(wanted):
            return None
        return self._by_end.get(wanted) or next((end for end in _ends(wanted) if end in self._names), None)


def _ends(name: str) -> Iterable[str]:
    """The name without its first part, without its first two and so on, as long as it has a block's number."""
    end = name.partition(".")[2]
    while _has_number(end) and not end.split(".", 1)[0].isdigit():
        yield end
        end = end.partition(".")[2]


def _has_number(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))
