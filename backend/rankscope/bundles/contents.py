"""What a bundle says about its run, checked."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rankscope.bundles.unpack import refuse
from rankscope.contract.config import RunConfig
from rankscope.contract.events import run_event
from rankscope.contract.status import RunStatus
from rankscope.store.imported_runs import ImportedEvent

_MAX_RUN_BYTES = 64_000_000
_MAX_LINE_BYTES = 256_000_000
_MAX_ATTEMPTS = 1_000_000
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=20_000)]


class _Part(BaseModel):
    # A bundle of a later version may have more fields.
    model_config = ConfigDict(extra="ignore")


class BundledAttempt(_Part):
    number: int = Field(ge=1, le=_MAX_ATTEMPTS)
    worker: str = Field(max_length=200)
    started_at: Seconds
    ended_at: Seconds | None = None
    start_step: int | None = Field(default=None, ge=0, le=2**31 - 1)
    outcome: str | None = Field(default=None, max_length=40)


class BundledRun(_Part):
    """run.json, as far as events don't say it."""

    id: str = Field(max_length=16)
    name: str = Field(min_length=1, max_length=200)
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] = Field(default=[], max_length=50)
    notes: str = Field(default="", max_length=20_000)
    status: RunStatus
    reason: str | None = Field(default=None, max_length=40)
    message: Text | None = None
    next_step: Text | None = None
    cause: Text | None = None
    created_at: Seconds
    started_at: Seconds | None = None
    ended_at: Seconds | None = None
    attempt: int = Field(ge=0, le=_MAX_ATTEMPTS)
    total_steps: int | None = Field(default=None, ge=1, le=2**31 - 1)
    settled_step: int | None = Field(default=None, ge=0, le=2**31 - 1)
    config: dict[str, Any]
    environment: dict[str, Any] = {}
    attempts: list[BundledAttempt] = Field(default=[], max_length=10_000)


def read_run(file: Path) -> tuple[BundledRun, RunConfig]:
    """Returns the run and its configuration. Raises BadInput if this version can't read them."""
    if file.stat().st_size > _MAX_RUN_BYTES:
        raise refuse(f"has a run.json of {file.stat().st_size:,} bytes; at most {_MAX_RUN_BYTES:,} are read")
    try:
        run = BundledRun.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise refuse(f"has a run.json that can't be read: {_first(error)}") from error
    try:
        return run, RunConfig.stored(run.config)
    except ValidationError as error:
        raise refuse(
            f"has a configuration that this version can't read: {_first(error)}",
            "Import it into the version of RankScope that wrote it, or a later one.",
        ) from error


def read_events(file: Path, attempts: int) -> Iterator[ImportedEvent]:
    """The events in order. Raises BadInput at the first that is out of order, or of an attempt above `attempts`."""
    before = 0
    with file.open("rb") as lines:
        while line := lines.readline(_MAX_LINE_BYTES + 1):
            number = before + 1
            if len(line) > _MAX_LINE_BYTES:
                raise refuse(f"has an event {number:,} of more than {_MAX_LINE_BYTES:,} bytes")
            try:
                fields = json.loads(line)
                stamp = [fields.pop(name) for name in ("seq", "attempt", "time")]
                event = run_event.validate_python(fields)
            except ValidationError as error:
                raise refuse(f"has an event {number:,} that this version can't read: {_first(error)}") from error
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise refuse(f"has a line {number:,} in events.jsonl that is not an event") from error
            seq, attempt, time = stamp
            if seq != number or type(attempt) is not int or not 0 <= attempt <= attempts:
                raise refuse(f"has an event {seq!r} of attempt {attempt!r} where event {number:,} belongs")
            if type(time) not in (int, float) or not math.isfinite(time) or not 0 <= time <= 1e11:
                raise refuse(f"has an event {number:,} with the time {time!r}")
            before = number
            yield ImportedEvent(number, attempt, float(time), event)


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
