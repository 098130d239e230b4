"""What long reads have found, kept by key: each is done once, however many ask for it at the same time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Generic, TypeVar

Found = TypeVar("Found")
_LARGE_BYTES = 64 << 20


class StillReading(Exception):
    """The reading goes on in the background; ask again."""


class BackgroundReads(Generic[Found]):
    """A bounded number of results. Large files are read one after the other, small ones never wait for them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._one_large = threading.Lock()
        self._known: OrderedDict[Hashable, Future[Found]] = OrderedDict()

    def get(self, key: Hashable, read: Callable[[], Found], size_bytes: int, timeout_s: float | None) -> Found:
        """The result of `read()`, by whoever called it first. What it raises is raised here, and not kept.

        Raises StillReading after `timeout_s` seconds (None: waits as long as it takes).
        """
        with self._lock:
            future = self._known.get(key)
            if future is None:
                future = self._known[key] = Future()
                # A daemon: a server that is declared to end does not wait for a file of gigabytes.
                threading.Thread(
                    target=self._read, args=(key, future, read, size_bytes), name="data-reading", daemon=True
                ).start()
            self._known.move_to_end(key)
            while len(self._known) > self._keep and next(iter(self._known.values())).done():
                self._known.popitem(last=False)
        try:
            return future.result(timeout_s)
        except NotYet as error:
            if future.done():  # the reading itself has timed out, on a network's file system
                raise
            raise StillReading from error

    def _read(self, key: Hashable, future: "Future[Found]", read: Callable[[], Found], size_bytes: int) -> None:
        try:
            if size_bytes > _LARGE_BYTES:
                with self._one_large:
                    found = read()
            else:
                found = read()
        except BaseException as error:
            with self._lock:
                self._known.pop(key, None)
            future.set_exception(error)
        else:
            future.set_result(found)
