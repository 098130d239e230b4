"""Runs in every Python process of a stack under faults (by PYTHONPATH). Counts and orders are only for trainings.

It counts executors: one line `RUN ATTEMPT PID` per child, appended to $RANKSCOPE_FAULTS/executions. It also carries out
an order `$RANKSCOPE_FAULTS/orders/RUN-ATTEMPT.json`, for moments that can't be hit from outside: at the n-th call of a
function the child kills itself with SIGKILL, finds the disk full, or waits; or every call takes longer. On SIGUSR2 any
of the processes writes its threads' stacks to its log. The product's code doesn't depend on this.
"""

import errno
import faulthandler
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_CHILD = "rankscope_worker.child.train"
_TORCH = ("rankscope_worker.child.training", "rankscope_worker.child.software")
_PRELOADED = "rankscope_worker.child.preloaded"
_OURS = ("dynamic_rank.", "rankscope_worker.")
_STEP = {"module": "rankscope_worker.child.callbacks", "function": "Reporter.on_step_end"}


def _act(folder: Path, run_id: str, attempt: str) -> None:
    line = f"{run_id} {attempt} {os.getpid()}\n".encode()
    descriptor = os.open(folder / "executions", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line)
    os.close(descriptor)
    finder = _Finder(folder / "orders" / f"{run_id}-{attempt}.json")
    sys.meta_path.insert(0, finder)
    for order in finder.orders():
        if order["module"] in sys.modules:
            _carry_out(order, sys.modules[order["module"]])


def _carry_out(order: dict[str, Any], module: ModuleType) -> None:
    """Wraps the ordered function, also where other modules have imported it by name."""
    owner: Any = module
    *classes, name = order["function"].split(".")
    for part in classes:
        owner = getattr(owner, part)
    function = getattr(owner, name)
    wrapped = _ordered(function, order)
    setattr(owner, name, wrapped)
    for other in list(sys.modules.values()):
        if getattr(other, "__name__", "").startswith(_OURS) and vars(other).get(name) is function:
            setattr(other, name, wrapped)


class _PreloadedFinder(importlib.abc.MetaPathFinder):
    """In the preloaded process: acts in each of its forks, once it knows the run and the attempt."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in _TORCH and os.environ.get("RANKSCOPE_FAULTS_TRAINING") == "short":
            return importlib.machinery.PathFinder.find_spec("short_training", [str(Path(__file__).parent)])
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name == _CHILD else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_wrap(module: ModuleType) -> None:
                execute(module)
                run = module.run

                def act_and_run(argv: list[str]) -> None:
                    _act(Path(os.environ["RANKSCOPE_FAULTS"]), *argv)
                    run(argv)

                module.run = act_and_run  # type: ignore[attr-defined]

            spec.loader.exec_module = execute_and_wrap  # type: ignore[method-assign]
        return spec


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps the ordered function once its module has been imported: seconds after the start, so the order is a file."""

    def __init__(self, order: Path) -> None:
        self._order = order

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in _TORCH and os.environ.get("RANKSCOPE_FAULTS_TRAINING") == "short":
            return importlib.machinery.PathFinder.find_spec("short_training", [str(Path(__file__).parent)])
        if not name.startswith(_OURS):
            return None
        orders = [order for order in self.orders() if order["module"] == name]
        if not orders:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_wrap(module: ModuleType) -> None:
                execute(module)
                for order in orders:
                    _carry_out(order, module)

            spec.loader.exec_module = execute_and_wrap  # type: ignore[method-assign]
        return spec

    def orders(self) -> list[dict[str, Any]]:
        found = [json.loads(self._order.read_text(encoding="utf-8"))] if self._order.is_file() else []
        pace_s = float(os.environ.get("RANKSCOPE_FAULTS_PACE_S", 0))
        return [*found, {**_STEP, "do": "slow", "slow_s": pace_s}] if pace_s else found


def _ordered(function: Callable[..., Any], order: dict[str, Any]) -> Callable[..., Any]:
    calls = 0

    def wrapped(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if order["do"] == "slow":
            time.sleep(order["slow_s"])
            return function(*args, **options)
        if calls != order["call"]:
            return function(*args, **options)
        Path(order["done"]).touch()
        if order["do"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if order["do"] == "wait":
            while Path(order["done"]).exists():
                time.sleep(0.05)
            return function(*args, **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return wrapped


if "RANKSCOPE_FAULTS" in os.environ:
    faulthandler.register(signal.SIGUSR2)
if sys.orig_argv[-3:-2] == [_CHILD] and "RANKSCOPE_FAULTS" in os.environ:
    _act(Path(os.environ["RANKSCOPE_FAULTS"]), *sys.orig_argv[-2:])
if sys.orig_argv[-2:-1] == [_PRELOADED] and "RANKSCOPE_FAULTS" in os.environ:
    sys.meta_path.insert(0, _PreloadedFinder())
