"""Orders to a training child, for moments that can't be hit from outside (hook/sitecustomize.py carries them out)."""

import json
import os
import signal
from pathlib import Path
from typing import Literal

HOOK = Path(__file__).parent / "hook"
STACKS = signal.SIGUSR2
"""Makes a hooked process write the stacks of its threads to its log."""


def hooked(faults: Path, *, pace_s: float = 0.0) -> dict[str, str]:
    """Creates the folder, and returns the environment in which every Python process looks for orders there.

    Every training step takes `pace_s` longer: for runs that only have to continue while something else is tested.
    """
    (faults / "orders").mkdir(parents=True)
    path = os.pathsep.join([str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, "RANKSCOPE_FAULTS": str(faults), "RANKSCOPE_FAULTS_PACE_S": str(pace_s)}


def order(
    faults: Path,
    run_id: str,
    attempt: int,
    *,
    module: str,
    function: str,
    call: int = 1,
    do: Literal["kill", "enospc", "wait", "slow"],
    slow_s: float = 0.03,
) -> Path:
    """Makes the child act at a call of a function or `Class.method`; returns a file that exists from then on.

    Give the order before the child has imported the module. "wait": until that file is deleted. "slow": every call
    takes `slow_s` longer, as if a device computed while the processor is idle; there is no file.
    """
    path = faults / "orders" / f"{run_id}-{attempt}.json"
    done = path.with_suffix(".done")
    text = json.dumps(
        {"module": module, "function": function, "call": call, "do": do, "slow_s": slow_s, "done": str(done)}
    )
    path.with_suffix(".new").write_text(text, encoding="utf-8")
    path.with_suffix(".new").rename(path)
    return done
