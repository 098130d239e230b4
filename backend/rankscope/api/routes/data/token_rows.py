"""What a model would see of individual rows of a data set. A worker tokenizes them with the training code."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from rankscope.api.background_jobs import JobId, read_job
from rankscope.api.deps import CatalogDep, DoorbellDep, EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import LARGE_JSON, needs
from rankscope.api.shapes.base import RequestBody, Shape
from rankscope.api.shapes.jobs import STATE, why
from rankscope.contract.config import RunConfig
from rankscope.contract.data.token_rows import (
    MOST_ROWS,
    RowNumber,
    TokenizeParts,
    TokenizePayload,
    TokenRows,
    TokenRowsAnswer,
)
from rankscope.contract.errors import BadInput, FieldProblem, NotFound
from rankscope.contract.jobs import TOKENIZE_ROWS
from rankscope.launch.plan import make_plan
from rankscope.store import jobs, workers
from rankscope.store.database.engine import reading, writing

router = APIRouter(prefix="/token-rows", tags=["datasets"])


class TokenRowsRequest(RequestBody):
    config: RunConfig
    first: RowNumber = 1
    """Number of the first row, counting all rows of the data set from 1."""
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] = MOST_ROWS
    with_lengths: bool = True
    """Whether to count the lengths of a sample of all rows too."""


class TokenRowsAccepted(Shape):
    id: str


@router.post("", status_code=202)
@needs("launch", LARGE_JSON)
def tokenize_rows(
    body: TokenRowsRequest, engine: EngineDep, catalog: CatalogDep, doorbell: DoorbellDep, now: NowDep
) -> TokenRowsAccepted:
    """Requests the tokens of some rows with a configuration, which must be valid. The answer is kept for ten minutes."""
    plan = make_plan(body.config, catalog)
    rows = plan.dataset.rows or 0
    if body.first > rows:
        problem = FieldProblem(
            "first", body.first, f"is {body.first:,}, and the data set has {rows:,} rows", f"Use 1 to {rows:,}."
        )
        raise BadInput([problem])
    parts = plan.split.parts
    payload = TokenizePayload(
        config=plan.config.model_dump(mode="json"),
        labels=plan.split.labels,
        spellings=dict(plan.split.spellings),
        parts=None if parts is None else TokenizeParts.model_validate(asdict(parts)),
        first=body.first,
        rows=min(body.rows, rows - body.first + 1),
        with_lengths=body.with_lengths,
        model_fingerprint=plan.environment["model_fingerprint"],
        data_fingerprint=plan.environment["data_fingerprint"],
    ).model_dump(mode="json")
    with reading(engine) as session:
        done = jobs.find_done(session, TOKENIZE_ROWS, payload)
    if done is not None:
        return TokenRowsAccepted(id=done.id)
    with writing(engine) as session:
        job_id = jobs.submit_once(session, TOKENIZE_ROWS, payload, now=now).id
    doorbell.ring_for_job()
    return TokenRowsAccepted(id=job_id)


@router.get("/{token_rows_id}")
@needs("read")
def get_token_rows(token_rows_id: JobId, engine: EngineDep, settings: SettingsDep, now: NowDep) -> TokenRowsAnswer:
    """The tokens, or why they are not ready yet. They take a few seconds while a process loads the tokenizer."""
    missing = NotFound(f"There are no tokens {token_rows_id!r}; they are kept for ten minutes.", "Show them again.")
    with reading(engine) as session:
        job = read_job(session, token_rows_id, TOKENIZE_ROWS, missing)
        message, next_step = why(
            job,
            has_worker=workers.is_any_online(session, now=now, lost_after_s=settings.lease_s),
            waiting="Waiting for a worker.",
            running="A worker is tokenizing the rows.",
            then="; the tokens then appear here.",
        )
        return TokenRowsAnswer(
            id=job.id,
            status=STATE[job.status],
            result=None if job.result is None else TokenRows.model_validate(job.result),
            message=message,
            next_step=next_step,
        )
