"""The process of a background job: `python -m rankscope_worker.child.job KIND FILE`.

Reads the payload as a line of JSON from standard input, and writes to FILE, one JSON object per line:
`{"progress": 0.5}`, then `{"result": {...}}` or `{"error": {"message": ..., "next_step": ...}}`. Exits immediately when
standard input is closed, because then the worker has ended.
"""

import json
import logging
import os
import sys
import threading
from importlib import import_module
from pathlib import Path

from rankscope.contract.errors import RankScopeError
from rankscope.settings import Settings
from rankscope_worker.child.fast_imports import fast_imports

_log = logging.getLogger("rankscope.job")
_ORPHANED = 3


def main(argv: list[str]) -> int:
    kind, answer = argv[0], Path(argv[1])
    payload = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_worker, name="worker-watch", daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # Only predictions and probes load weights, which may be quantised; they import what they need themselves.
    with fast_imports(with_quantisation=kind in ("predict", "probe")):
        module = import_module(f"rankscope_worker.child.jobs.{kind}")

    def write(line: dict[str, object]) -> None:
        with answer.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    try:
        write({"result": module.run(Settings(), payload, lambda share: write({"progress": share}))})
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


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    # Skip interpreter shutdown: everything is written, and torch's threads may hang during it.
    os._exit(code)
