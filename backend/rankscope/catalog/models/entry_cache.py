"""A least-recently-used cache of bounded size for what was read from files."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class EntryCache(Generic[Entry]):
    """Keeps the most recently used entries by key. Its lock is never held while files are read."""

    def __init__(self, *, max_entries: int, max_weight: int) -> None:
        self._max_entries = max_entries
        self._max_weight = max_weight
        self._weight = 0
        self._entries: OrderedDict[Hashable, tuple[Entry, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Entry | None:
        """Returns the entry and marks it as used; None if there is none."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def keep(self, key: Hashable, entry: Entry, weight: int) -> None:
        """Stores the entry, and evicts the least recently used ones above the limits of number and total weight."""
        with self._lock:
            _, old = self._entries.pop(key, (None, 0))
            self._entries[key] = (entry, weight)
            self._weight += weight - old
            while len(self._entries) > self._max_entries or (
                self._weight > self._max_weight and len(self._entries) > 1
            ):
                _, (_, evicted) = self._entries.popitem(last=False)
                self._weight -= evicted
