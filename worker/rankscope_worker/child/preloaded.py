"""The preloaded process: `python -m rankscope_worker.child.preloaded SOCKET` imports the training stack and forks.

Importing torch, transformers and PEFT takes seconds of a core and 350 MB; a fork takes milliseconds and shares the
memory. The process only imports: it runs no operator, starts no thread and opens no device, so a fork is equivalent to
a new process. If an import has started a thread, it ends without serving, and children are started as new processes.

SOCKET is a descriptor of a sequenced-packet socket of the worker. A request is JSON with a `module` of
`rankscope_worker.child`, its `arguments`, its `folder` and RankScope's environment variables, and the descriptors of
the child's standard input and output. The response is the child's process id. The child belongs to the worker, which
waits for it (see `host/forks.py`), so it survives the end of this process.
"""

import gc
import json
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from setproctitle import setproctitle

from rankscope.settings import ENV_PREFIX
from rankscope_worker.child import job, train
from rankscope_worker.child.fast_imports import fast_imports

_METRICS = "sklearn.metrics"
"""Most trainings evaluate classes; for others this import is unnecessary, but it happens only once."""
_MODULES = {"train": train, "job": job}
_MOST_BYTES = 1 << 16
_IDLE_S = 600.0
"""Without a request for this long, the process ends and frees its memory."""


def main(argv: list[str]) -> int:
    worker = socket.socket(fileno=int(argv[0]))
    _import(train.STACK)
    import_module(_METRICS)
    threads = _settle()
    if threads > 1:
        worker.send(json.dumps({"problem": f"{threads} threads run after the imports"}).encode())
        return 1
    worker.send(b"{}")
    worker.settimeout(_IDLE_S)
    while True:
        try:
            request, descriptors, _flags, _address = socket.recv_fds(worker, _MOST_BYTES, 2)
        except TimeoutError:
            return 0
        if not request:  # the worker has ended
            return 0
        found = json.loads(request)
        if found["module"] == "job" and job.STACK[0] not in sys.modules:
            # Modules that only jobs need are imported late, because most workers never run a job that needs torch.
            _import(job.STACK)
            threads = _settle()
        pid = _fork(worker, found, descriptors) if threads == 1 else None
        for descriptor in descriptors:
            os.close(descriptor)
        worker.send(json.dumps({"pid": pid}).encode())


def _import(names: Sequence[str]) -> None:
    # Quantised weights need bitsandbytes, which takes a fifth of all imports; such children are new processes.
    with fast_imports(with_quantisation=False):
        for name in names:
            import_module(name)


def _settle() -> int:
    """Frees what the imports have left. Returns the number of threads: a process with several can't be forked."""
    gc.collect()
    gc.freeze()
    return len(list(Path("/proc/self/task").iterdir()))


def _fork(worker: socket.socket, request: dict[str, object], descriptors: list[int]) -> int | None:
    """Returns the child's id once it leads its own session; None if it died before that.

    It is the child of a process that ends immediately, so the kernel passes it on to the worker.
    """
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            if os.fork() == 0:
                os.close(read)
                worker.close()
                _become(request, descriptors, write)
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(between, 0)
    with os.fdopen(read, "rb") as pipe:
        pid = pipe.read()
    return int(pid) if pid else None


def _become(request: dict[str, object], descriptors: list[int], ready: int) -> NoReturn:
    """Writes its process id to `ready` once it is the new child. Never returns, so a child can't serve requests."""
    try:
        os.setsid()
        arguments = [str(argument) for argument in _list(request["arguments"])]
        os.dup2(descriptors[0], 0)
        os.dup2(descriptors[1], 1)
        os.dup2(descriptors[1], 2)
        for descriptor in descriptors:
            os.close(descriptor)
        os.chdir(str(request["folder"]))
        _set_environment(request["settings"])
        module = _MODULES[str(request["module"])]
        setproctitle(" ".join([sys.executable, "-m", module.__name__, *arguments]))
        os.write(ready, str(os.getpid()).encode())
        os.close(ready)
        if os.read(0, 1):  # the worker knows of this process
            module.run(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _set_environment(settings: object) -> None:
    """Replaces all of RankScope's variables."""
    assert isinstance(settings, dict)
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        del os.environ[name]
    os.environ.update(settings)


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
