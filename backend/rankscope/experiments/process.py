"""Computes answers in a short process of their own, so that the server never imports SciPy.

Importing SciPy takes 0.7 s of CPU, during which a server's other requests and live streams wait, and 75 MB for as long as
it runs. A background job would need a worker, which an installation for reading imported results may not have.
"""

import os
import subprocess
import sys
import threading
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rankscope.contract.errors import ServiceDown
from rankscope.contract.experiments.answer import Answer
from rankscope.experiments.inputs import AnswerInput

Model = TypeVar("Model", bound=BaseModel)

TIMEOUT_S = 120.0
_AT_ONCE = 2
_THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


class AnswerProcesses:
    """At most two processes at a time."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(_AT_ONCE)

    def compute(self, given: AnswerInput) -> Answer:
        """Returns the answer of an experiment. Raises ServiceDown."""
        return self.run("rankscope.experiments", given, Answer)

    def run(self, module: str, given: BaseModel, answer: type[Model]) -> Model:
        """Returns what `module` answers to `given`. Raises ServiceDown if the process fails or takes too long."""
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
            told = f"The statistics took longer than {TIMEOUT_S:g} s."
            raise ServiceDown(told, "Select one task or one budget.") from error
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
            told = f"The statistics could not be computed ({lines[-1][:300]})."
            raise ServiceDown(told, "Install the server's dependencies again, or report this.") from error
        except (OSError, ValidationError) as error:
            raise ServiceDown(f"The statistics could not be computed ({error}).", "Try again.") from error
        finally:
            self._free.release()
