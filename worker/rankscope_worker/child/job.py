"""The process of a background job: `python -m rankscope_worker.child.job KIND PAYLOAD ANSWER`.

Reads the payload from the JSON file PAYLOAD, and writes to ANSWER, one JSON object per line: `{"progress": 0.5}`, then
`{"result": {...}}` or `{"error": {"message": ..., "next_step": ...}}`. Exits immediately when standard input is closed,
because then the worker has ended.
"""

import json
import logging
import os
import sys
import threading
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from rankscope.contract.errors import RankScopeError
from rankscope.settings import Settings
from rankscope_worker.child.fast_imports import HiddenLibrary, fast_imports
from rankscope_worker.exit_report import ExitCode
from rankscope_worker.installation import end_if_other_code

_log = logging.getLogger("rankscope.job")
_ORPHANED = 3
_CONTINUES = "RANKSCOPE_JOB_CONTINUES"
"""Environment variable of a process that continues a job, so that a job that hides a library itself does so only once."""
STACK = (
    "rankscope_worker.child.jobs.predict",
    "rankscope_worker.child.jobs.tokenize_rows",
    "rankscope_worker.child.predictions",
)
"""The modules, including torch, that jobs import in addition to those of trainings. The preloaded process has them."""


def main(argv: list[str]) -> int:
    kind, payload, answer = argv[0], json.loads(Path(argv[1]).read_bytes()), Path(argv[2])
    threading.Thread(target=_end_with_the_worker, name="worker-watch", daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # Predictions and probes load weights, which may be quantised, so they import torch once they know that.
    with nullcontext() if kind in ("predict", "probe") else fast_imports(with_quantisation=False):
        module = import_module(f"rankscope_worker.child.jobs.{kind}")

    def write(line: dict[str, object]) -> None:
        with answer.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    try:
        write({"result": module.run(Settings(), payload, lambda share: write({"progress": share}))})
    except HiddenLibrary as library:
        if os.environ.get(_CONTINUES):
            message = f"The job {kind} needs {library}, which it hides when it starts."
            write({"error": {"message": message, "next_step": "Report this error: RankScope's code must be fixed."}})
            return 0
        # In a new process, which can import it. It keeps standard input, so the worker can still end it.
        os.environ[_CONTINUES] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "rankscope_worker.child.job", *argv])
    except RankScopeError as error:
        write({"error": {"message": error.detail, "next_step": error.next_step or None}})
    except Exception as error:
        _log.exception("The job failed.")
        message, next_step = module.explain(error)
        write({"error": {"message": message, "next_step": next_step}})
    return 0


def _end_with_the_worker() -> None:
    sys.stdin.read()
    os._exit(_ORPHANED)


def run(argv: list[str]) -> NoReturn:
    """Does the job and ends the process."""
    end_if_other_code(ExitCode.other_code)
    code = main(argv)
    logging.shutdown()
    # Skips interpreter shutdown: everything is written, and torch's threads may hang during it.
    os._exit(code)


if __name__ == "__main__":
    run(sys.argv[1:])
