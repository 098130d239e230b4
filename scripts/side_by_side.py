"""`python scripts/side_by_side.py TARGET... [NAME=VALUE...]`: runs targets of the Makefile at the same time.

Every line of output begins with its target. Ends when all have ended, prints how long each took, and fails if one failed.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent


def main() -> int:
    variables = [argument for argument in sys.argv[1:] if "=" in argument]
    targets = [argument for argument in sys.argv[1:] if argument not in variables]
    width = max(len(target) for target in targets)
    began = time.monotonic()
    results: dict[str, tuple[int, float]] = {}

    def follow(target: str, process: subprocess.Popen[str], output: IO[str]) -> None:
        for line in output:
            print(f"{target:{width}} | {line}", end="", flush=True)
        results[target] = process.wait(), time.monotonic() - began

    # A surrounding make would lend them its job server.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    threads = []
    for target in targets:
        process = subprocess.Popen(
            ["make", "--no-print-directory", target, *variables],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert process.stdout is not None
        threads.append(threading.Thread(target=follow, args=(target, process, process.stdout)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for target in targets:
        code, seconds = results[target]
        print(f"{target:{width}}   {'failed' if code else 'passed'} in {seconds:.0f} s", flush=True)
    return int(any(code for code, _ in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())
