"""A cache of results that take long to read from files. Concurrent callers share one read."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Generic, TypeVar

Found = TypeVar("Found")
_LARGE_BYTES = 64 << 20


class StillReading(Exception):
    """The read continues in the background. Try again later."""


class BackgroundReads(Generic[Found]):
    """Keeps a bounded number of results. Large files are read one at a time; small ones never wait for them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._one_large = threading.Lock()
        self._known: OrderedDict[Hashable, Future[Found]] = OrderedDict()

    def get(self, key: Hashable, read: Callable[[], Found], size_bytes: int, timeout_s: float | None) -> Found:
        """Returns the result of `read()`, which runs once per key. Its exceptions are raised here and not cached.

        Raises StillReading after `timeout_s` seconds. None waits until the read has ended.
        """
        with self._lock:
            future = self._known.get(key)
            if future is None:
                future = self._known[key] = Future()
                # A daemon thread, so that a server that shuts down doesn't wait for a file of several gigabytes.
                threading.Thread(
                    target=self._read, args=(key, future, read, size_bytes), name="data-reading", daemon=True
                ).start()
            self._known.move_to_end(key)
            while len(self._known) > self._keep and next(iter(self._known.values())).done():
                self._known.popitem(last=False)
        try:
            return future.result(timeout_s)
        except NotYet as error:
            if future.done():  # the read itself timed out, on a network file system
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
