"""The contents of a backup file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import SQLModel

BACKUP_FORMAT = 1
NOTE, DATABASE, RUNS = "backup.json", "database.db", "runs"
BATCH = 1000
# Jobs and deletions are left out: they exist for a short time only. So are answers of experiments, which are computed again,
# and probes, which are about one machine.
_NAMES = (
    "run",
    "run_tag",
    "run_metric",
    "evaluation_point",
    "config_value",
    "saved_view",
    "worker",
    "attempt",
    "checkpoint",
    "event",
    "chunk",
    "experiment",
    "trial",
    "trial_rows",
    "sweep",
    "sweep_trial",
)
TABLES = [SQLModel.metadata.tables[name] for name in _NAMES]


@dataclass(frozen=True)
class BackupNote:
    """The description of a backup, in backup.json. `sha256` is the checksum of its database."""

    format: int
    version: str
    schema: str
    created_at: float
    runs: int
    events: int
    has_files: bool
    sha256: str


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
