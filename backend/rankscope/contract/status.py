"""A run's status, and the permitted transitions."""

from collections.abc import Mapping
from enum import StrEnum


class RunStatus(StrEnum):
    queued = "queued"
    """Waits for a worker, after a launch or a resume."""
    starting = "starting"
    """Claimed by a worker; the training process is being started."""
    running = "running"
    stopping = "stopping"
    """A stop was requested; the training process writes its checkpoint."""
    done = "done"
    stopped = "stopped"
    interrupted = "interrupted"
    """Its worker was lost or drained; any worker resumes it automatically."""
    failed = "failed"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more happens until you request it."""
        return self in TERMINAL

    @property
    def is_claimable(self) -> bool:
        return self in CLAIMABLE

    @property
    def is_owned(self) -> bool:
        """Whether a worker holds a lease on it."""
        return self in OWNED


class Phase(StrEnum):
    """What a claimed run is doing, in more detail than its status."""

    loading = "loading"
    tokenizing = "tokenizing"
    training = "training"
    pruning = "pruning"
    evaluating = "evaluating"
    saving = "saving"
    exporting = "exporting"


CLAIMABLE = frozenset({RunStatus.queued, RunStatus.interrupted})
OWNED = frozenset({RunStatus.starting, RunStatus.running, RunStatus.stopping})
TERMINAL = frozenset({RunStatus.done, RunStatus.stopped, RunStatus.failed})

TRANSITIONS: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.queued: frozenset({RunStatus.starting, RunStatus.stopped}),
    RunStatus.starting: frozenset(
        {RunStatus.running, RunStatus.stopping, RunStatus.stopped, RunStatus.interrupted, RunStatus.failed}
    ),
    RunStatus.running: frozenset(
        {RunStatus.stopping, RunStatus.stopped, RunStatus.done, RunStatus.interrupted, RunStatus.failed}
    ),
    # A run may still finish after a stop request, or lose its worker: then it counts as stopped.
    RunStatus.stopping: frozenset({RunStatus.stopped, RunStatus.done, RunStatus.failed}),
    RunStatus.interrupted: frozenset({RunStatus.starting, RunStatus.stopped, RunStatus.failed}),
    RunStatus.stopped: frozenset({RunStatus.queued}),
    RunStatus.failed: frozenset({RunStatus.queued}),
    RunStatus.done: frozenset(),
}
