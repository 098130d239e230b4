"""Computes answers in a separate, short-lived process, so that the server never imports SciPy.

Importing SciPy takes 0.7 s of CPU, during which a server's other requests and live streams wait, and 75 MB for as long as
it runs. A background job would need a worker, which an installation for reading imported results may not have.
"""

import hashlib
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rankscope.contract.errors import ServiceDown
from rankscope.contract.experiments.answer import Answer
from rankscope.experiments.inputs import AnswerInput

Model = TypeVar("Model", bound=BaseModel)

TIMEOUT_S = 120.0
MOST_KEPT = 16
"""Answers; one of 1,000 points over 20 parameters takes about 1 MB."""
_AT_ONCE = 2
_THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


@dataclass
class _Kept:
    answer: BaseModel | None = None
    """None until it has been computed."""
    computing: threading.Lock = field(default_factory=threading.Lock)


class AnswerProcesses:
    """At most two processes at a time."""

    def __init__(self, *, most_kept: int = MOST_KEPT) -> None:
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._most_kept = most_kept
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def compute(self, given: AnswerInput) -> Answer:
        """Returns the answer of an experiment. Raises ServiceDown."""
        return self.run("rankscope.experiments", given, Answer)

    def run_once(self, module: str, given: BaseModel, answer: type[Model]) -> Model:
        """Like `run`, but computes an answer once for concurrent requests, and keeps the newest ones."""
        key = hashlib.sha256(f"{module}\n{given.model_dump_json()}".encode()).digest()
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            if len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)
        with kept.computing:
            if not isinstance(kept.answer, answer):
                kept.answer = self.run(module, given, answer)
            return kept.answer

    def run(self, module: str, given: BaseModel, answer: type[Model]) -> Model:
        """Returns the output of `module` for `given`. Raises ServiceDown if the process fails or takes too long."""
        if not self._free.acquire(timeout=TIMEOUT_S):
            raise ServiceDown("Other answers are being computed.", "Try again in a minute.")
        try:
            done = subprocess.run(
                [sys.executable, "-m", module],
                input=given.model_dump_json().encode(),
                env=os.environ | _THREADS,
                capture_output=True,
                check=True,
                timeout=TIMEOUT_S,
            )
            return answer.model_validate_json(done.stdout)
        except subprocess.TimeoutExpired as error:
            message = f"The statistics took longer than {TIMEOUT_S:g} s."
            raise ServiceDown(message, "Select one task or one budget.") from error
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
            message = f"The statistics could not be computed ({lines[-1][:300]})."
            raise ServiceDown(message, "Install the server's dependencies again, or report this.") from error
        except (OSError, ValidationError) as error:
            raise ServiceDown(f"The statistics could not be computed ({error}).", "Try again.") from error
        finally:
            self._free.release()
