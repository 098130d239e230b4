"""Background jobs: their states and kinds.

A new kind needs an entry in a lane, and a module of the same name in the worker's `child/jobs`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

JobState = Literal["waiting", "running", "done", "failed"]
"""The state of a job in the API."""


class JobStatus(StrEnum):
    queued = "queued"
    """Waiting for a worker."""
    running = "running"
    """Claimed by a worker."""
    done = "done"
    failed = "failed"


JOB_CLAIMABLE = frozenset({JobStatus.queued})
JOB_OWNED = frozenset({JobStatus.running})
JOB_ENDED = frozenset({JobStatus.done, JobStatus.failed})


@dataclass(frozen=True)
class JobKind:
    """The limits of a kind of job, and the wording of its errors. Times are in seconds."""

    name: str
    process: str
    """The child process as the subject of an error message: "The process that loads the models"."""
    retry: str
    """The next step to run it again: "Try again."."""
    timeout_s: float
    """Time limit of one attempt."""
    max_attempts: int = 3
    """Number of attempts that may lose their worker before the job fails."""
    wait_s: float = 600.0
    """A job that no worker takes for this long fails."""
    kept_s: float = 600.0
    """A job that has ended is deleted after this time."""
    not_taken: str = "Start one with `rankscope worker`, then try again."
    """The next step if no worker has taken it within `wait_s`."""
    imports_torch: bool = False
    """Whether it is started as a fork of the worker's preloaded process, which has imported torch."""
    takes_slot: bool = False
    """Whether it trains: it needs a free slot of a worker, with its GPU, and others wait until it has ended."""
    uses_hub: bool = False
    """Whether HF_HUB_OFFLINE is the user's choice for it. The libraries of all other children never contact the hub."""


PREDICT = JobKind(
    name="predict",
    process="The process that loads the models",
    retry="Try again.",
    timeout_s=180.0,
    imports_torch=True,
)
TOKENIZE_ROWS = JobKind(
    name="tokenize_rows",
    process="The process that tokenizes the rows",
    retry="Try again.",
    timeout_s=180.0,
    imports_torch=True,
)
IMPORT_DATA = JobKind(
    name="import_data",
    process="The process that imports the file",
    retry="Try again.",
    timeout_s=3600.0,
    wait_s=24 * 3600.0,
)
DOWNLOAD_MODEL = JobKind(
    name="download_model",
    process="The process that downloads the model",
    retry="Try again: the download continues where it stopped.",
    timeout_s=24 * 3600.0,
    wait_s=24 * 3600.0,
    kept_s=24 * 3600.0,
    uses_hub=True,
)
DOWNLOAD_DATA = JobKind(
    name="download_data",
    process="The process that downloads the data set",
    retry="Try again: the download continues where it stopped.",
    timeout_s=24 * 3600.0,
    wait_s=24 * 3600.0,
    kept_s=24 * 3600.0,
    uses_hub=True,
)
PROBE = JobKind(
    name="probe",
    process="The process that measures",
    retry="Measure again.",
    timeout_s=900.0,
    not_taken="Measure again once a run has ended, or start another worker with `rankscope worker`.",
    imports_torch=True,
    takes_slot=True,
)
SHORT: dict[str, JobKind] = {kind.name: kind for kind in (PREDICT, TOKENIZE_ROWS)}
"""Jobs that someone waits for."""
IMPORTS: dict[str, JobKind] = {IMPORT_DATA.name: IMPORT_DATA}
DOWNLOADS: dict[str, JobKind] = {kind.name: kind for kind in (DOWNLOAD_MODEL, DOWNLOAD_DATA)}
PROBES: dict[str, JobKind] = {PROBE.name: PROBE}
LANES = (SHORT, IMPORTS, DOWNLOADS, PROBES)
"""A worker runs one job of each lane at a time: predictions don't wait for imports, nor imports for downloads."""
KINDS = {name: kind for lane in LANES for name, kind in lane.items()}
