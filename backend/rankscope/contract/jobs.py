"""Background jobs: their states, and the kinds there are.

A new kind is an entry of `KINDS` and a module of the same name in the worker's `child/jobs`.
"""

from dataclasses import dataclass
from enum import StrEnum


class JobStatus(StrEnum):
    queued = "queued"
    """Waits for a worker."""
    running = "running"
    """A worker holds a lease on it."""
    done = "done"
    failed = "failed"


JOB_CLAIMABLE = frozenset({JobStatus.queued})
JOB_OWNED = frozenset({JobStatus.running})
JOB_ENDED = frozenset({JobStatus.done, JobStatus.failed})


@dataclass(frozen=True)
class JobKind:
    """What a kind of job may take, and how its errors read. Times are in seconds."""

    name: str
    process: str
    """What the child process does, as the subject of an error: "The process that loads the models"."""
    retry: str
    """What you do to have it done again: "Ask again."."""
    timeout_s: float
    """For one attempt."""
    most_attempts: int = 3
    """Attempts that may lose their worker before the job fails."""
    wait_s: float = 600.0
    """A job that no worker takes for this long fails."""
    kept_s: float = 600.0
    """A job that has ended is deleted after this time."""


PREDICT = JobKind(name="predict", process="The process that loads the models", retry="Ask again.", timeout_s=180.0)
KINDS = {kind.name: kind for kind in (PREDICT,)}
