"""Converts every error to application/problem+json."""

import json
import logging
import math
import sqlite3
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rankscope.api.shapes.base import FieldProblemShape, Problem
from rankscope.contract.errors import BadInput, FieldProblem, RankScopeError, ServiceDown, TooManyAttempts
from rankscope.contract.problems import field_problems

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}

# In OpenAPI: every route may return a problem (`document.py` sets its media type).
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "What went wrong, and what to do"}
}


def install(app: FastAPI) -> None:
    app.add_exception_handler(RankScopeError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for error in (OperationalError, PoolTimeout):
        app.add_exception_handler(error, _database)
    app.add_exception_handler(DataError, _data)
    app.add_exception_handler(Exception, _unexpected)


_MAX_PROBLEMS = 100
_LONGEST_TEXT = 2000


def field_shapes(problems: Iterable[FieldProblem]) -> list[FieldProblemShape]:
    """At most 100 problems, and how many more there are."""
    found = list(problems)
    shown = [
        FieldProblemShape(
            field=_whole(each.field),
            value=_presentable(each.value),
            message=_whole(each.message),
            next_step=_whole(each.next_step),
        )
        for each in found[:_MAX_PROBLEMS]
    ]
    if len(found) > _MAX_PROBLEMS:
        more = f"{len(found) - _MAX_PROBLEMS:,} more problems are not listed"
        shown.append(FieldProblemShape(field=shown[-1].field, message=more, next_step="Fix these first."))
    return shown


def problem_response(error: RankScopeError) -> Response:
    problems = error.problems if isinstance(error, BadInput) else ()
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TooManyAttempts) else None
    return _response(
        Problem(
            title=error.title,
            status=error.status,
            detail=_whole(error.detail),
            next_step=_whole(error.next_step),
            errors=field_shapes(problems),
        ),
        headers,
    )


def _response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    if problem.status == 401:
        headers = {"WWW-Authenticate": "Bearer"} | (headers or {})
    # Input may contain a lone surrogate, which can't be encoded: shown as "?".
    body = json.dumps(problem.model_dump(), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return Response(body, problem.status, headers=headers, media_type=MEDIA_TYPE)


def _presentable(value: object) -> object:
    """The value as JSON can represent it: NaN and infinite numbers as text."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {_whole(str(name)): _presentable(part) for name, part in value.items()}
        case list() | tuple():
            return [_presentable(part) for part in value]
        case str():
            return _whole(value)
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def _whole(text: str) -> str:
    """Returns the text, truncated if it is long, with "?" for lone surrogates, which can't be encoded."""
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT] + "…"
    return text.encode("utf-8", "replace").decode()


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RankScopeError)
    if error.status >= 500:
        logger.error("%s", error, exc_info=error)
    return problem_response(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(BadInput(field_problems(error.errors())))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and request.method in ("POST", "PUT", "PATCH"):
        # What FastAPI raises for a body that is not text.
        return problem_response(
            BadInput([FieldProblem("body", None, "is not valid JSON", "Send a JSON object in UTF-8.")])
        )
    detail, next_step = str(error.detail), ""
    if error.status_code == 404:
        detail = f"{_whole(request.url.path)} does not exist."
        next_step = "See /api/v1/openapi.json for all paths."
    elif error.status_code == 405:
        detail = f"{request.method} is not allowed at {_whole(request.url.path)}."
        next_step = f"Use {(error.headers or {}).get('Allow', 'another method')}."
    return _response(
        Problem(
            title=HTTPStatus(error.status_code).phrase, status=error.status_code, detail=detail, next_step=next_step
        ),
        dict(error.headers or {}),
    )


async def _database(request: Request, error: Exception) -> Response:
    if not is_out_of_reach(error):
        return await _unexpected(request, error)
    logger.error("The database is unreachable: %s", error)
    return problem_response(
        ServiceDown(
            "The database is unreachable.", "Nothing is lost. Try again; if the problem persists, check the database."
        )
    )


def is_out_of_reach(error: Exception) -> bool:
    """Whether the database is unreachable; False if it only rejected this statement.

    Drivers raise OperationalError for both: an unreachable server, and a statement with too many conditions.
    """
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        # SQLITE_ERROR: the statement is invalid or exceeds a limit.
        return getattr(cause, "sqlite_errorcode", None) not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG)
    # Class 54 of PostgreSQL: "program limit exceeded".
    return not str(getattr(cause, "sqlstate", None) or "").startswith("54")


async def _data(_request: Request, error: Exception) -> Response:
    logger.warning("The database rejected a value: %s", error)
    return problem_response(
        BadInput([FieldProblem("body", None, "contains text that can't be stored", "Remove NUL characters.")])
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    answer = problem_response(
        RankScopeError("An unexpected error occurred.", "Try again. The server's log has the details.")
    )
    # Starlette handles unexpected errors outside all middleware, so the gate can't add these.
    answer.headers.update(SAFE_HEADERS)
    return answer
