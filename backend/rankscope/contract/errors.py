"""RankScope's errors, with their HTTP status and the next step for you.

RankScopeError                500
|- BadInput                   422   one or more fields with an invalid value
|  `- UnknownName             422   a model, dataset, preset or column that does not exist
|- NotSignedIn                401
|- Forbidden                  403   signed in, but from another site
|- NotFound                   404
|- InvalidTransition          409   the run's status does not allow this
|- InUse                      409   a data set that runs were launched with, or all slots of the workers
|- InputsChanged              409   the run's model or data has changed since the launch
|- LeaseLost                  409   the attempt no longer owns its run and must stop writing
|- TooLarge                   413   a body above the limit
|- WrongMediaType             415   a body whose Content-Type is not JSON
|- TooManyAttempts            429   too many failed sign-ins
|- ServiceDown                503   database or broker unreachable
`- StartupError               exit code 1 of a command: one sentence on standard error
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class FieldProblem:
    """A field with an invalid value.

    `field` is the dotted path in the request body, for example `config.method.target_rank`.
    `value` is the value as it was sent (any JSON value).
    """

    field: str
    value: object
    message: str
    next_step: str = ""


class RankScopeError(Exception):
    """Base of all errors that users see. `str(error)` is one sentence that names the cause and its value."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, next_step: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.next_step = next_step


class BadInput(RankScopeError):
    status = 422
    title = "Invalid input"

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{first.field}: {first.message}{more}", first.next_step)
        self.problems = tuple(problems)


class UnknownName(BadInput):
    title = "Unknown name"


class NotSignedIn(RankScopeError):
    status = 401
    title = "Sign-in required"


class Forbidden(RankScopeError):
    status = 403
    title = "Refused"


class NotFound(RankScopeError):
    status = 404
    title = "Not found"


class InvalidTransition(RankScopeError):
    status = 409
    title = "The run's status does not allow this"


class InUse(RankScopeError):
    status = 409
    title = "In use"


class InputsChanged(RankScopeError):
    status = 409
    title = "The run's model or data has changed"

    def __init__(self, reason: Literal["model_changed", "data_changed"], detail: str, fingerprints: str) -> None:
        super().__init__(detail, _RESTORE[reason])
        self.reason = reason
        self.fingerprints = fingerprints
        """Both fingerprints in full, for the log."""


_RESTORE = {
    "model_changed": "Restore the model's files and resume the run, or launch a new run with the new model.",
    "data_changed": "Restore the file and resume the run, or launch a new run with the new data.",
}


class LeaseLost(RankScopeError):
    status = 409
    title = "This attempt no longer owns the run"


class TooLarge(RankScopeError):
    status = 413
    title = "The body is too large"


class WrongMediaType(RankScopeError):
    status = 415
    title = "The body has the wrong type"


class TooManyAttempts(RankScopeError):
    status = 429
    title = "Too many attempts"

    def __init__(self, detail: str, next_step: str = "", *, retry_after_s: int = 60) -> None:
        super().__init__(detail, next_step)
        self.retry_after_s = retry_after_s


class ServiceDown(RankScopeError):
    status = 503
    title = "A service is unavailable"


class StartupError(RankScopeError):
    title = "RankScope can't start"
