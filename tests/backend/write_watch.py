"""Watches the write transactions of an engine: how long each takes, and which operations in them don't belong there."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection

from rankscope.api.shapes.base import Shape
from rankscope.contract.config import RunConfig

_FILE_EVENTS = frozenset(
    {"open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link"}
)
_current = threading.local()


@dataclass
class Watch:
    """`durations_s`: of each write transaction. `misplaced`: files and shapes that were touched within one."""

    durations_s: list[float] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)


@contextmanager
def watched(engine: Engine) -> Iterator[Watch]:
    """Watches every write transaction of `engine`, in any thread."""
    watch = Watch()
    _install_audit_hook()

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("rankscope_write"):
            _current.watch, _current.since = watch, time.perf_counter()

    def end(_connection: Connection) -> None:
        if getattr(_current, "watch", None) is watch:
            watch.durations_s.append(time.perf_counter() - _current.since)
            _current.watch = None

    # The engine's own listener of "begin" takes SQLite's lock; this one comes after it.
    event.listen(engine, "begin", begin)
    event.listen(engine, "commit", end)
    event.listen(engine, "rollback", end)
    originals = {
        kind: (kind.__dict__.get("__init__"), kind.__dict__.get("model_validate")) for kind in (Shape, RunConfig)
    }
    for kind in originals:
        _report_when_made(kind)
    try:
        yield watch
    finally:
        for kind, saved in originals.items():
            for name, value in zip(("__init__", "model_validate"), saved, strict=True):
                if value is None:
                    delattr(kind, name)
                else:
                    setattr(kind, name, value)
        event.remove(engine, "begin", begin)
        event.remove(engine, "commit", end)
        event.remove(engine, "rollback", end)


def _report_when_made(kind: type[BaseModel]) -> None:
    def made(self: BaseModel, **data: Any) -> None:
        _report(f"{type(self).__name__} is made")
        BaseModel.__init__(self, **data)

    def validated(cls: type[BaseModel], value: Any, **options: Any) -> BaseModel:
        _report(f"{cls.__name__} is validated")
        found: BaseModel = BaseModel.model_validate.__func__(cls, value, **options)  # type: ignore[attr-defined]
        return found

    kind.__init__ = made  # type: ignore[assignment]
    kind.model_validate = classmethod(validated)  # type: ignore[assignment, arg-type]


def _report(what: str) -> None:
    watch = getattr(_current, "watch", None)
    if watch is not None:
        watch.misplaced.append(what)


_is_installed = False


def _install_audit_hook() -> None:
    """Installed once per process: an audit hook can't be removed. It costs nothing outside a watched transaction."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if name in _FILE_EVENTS and getattr(_current, "watch", None) is not None:
            path = arguments[0]
            # A module that is imported for the first time, and SQLite's own files, which C code opens without a trace.
            if isinstance(path, str | bytes | os.PathLike) and not str(path).endswith((".py", ".pyc")):
                _report(f"{name} {path!r}")

    sys.addaudithook(hook)
