"""Signing in and out of the page."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from rankscope.api.auth import COOKIE, COOKIE_MAX_AGE_S
from rankscope.api.gate import signed_in_by
from rankscope.api.shapes import SessionState, SignIn
from rankscope.contract.errors import NotSignedIn, TooManyAttempts
from rankscope.deps import Resources, ResourcesDep

router = APIRouter(prefix="/session", tags=["session"])


@router.get("")
def get_session(request: Request, resources: ResourcesDep) -> SessionState:
    """Whether this request is signed in."""
    return SessionState(signed_in=any(signed_in_by(request.headers, resources.gatekeeper)))


@router.post("")
def sign_in(
    body: Annotated[SignIn, Body(examples=[{"token": "the token that RankScope printed"}])],
    request: Request,
    response: Response,
    resources: ResourcesDep,
) -> SessionState:
    """Sets the session cookie when the token is right."""
    if not is_right_token(resources, request, body.token):
        raise NotSignedIn(
            "This is not the sign-in token.",
            "Use the link that RankScope printed at its start; the token also stands in the file `token` of the data folder.",
        )
    set_cookie(response, request, resources)
    return SessionState(signed_in=True)


@router.delete("")
def sign_out(response: Response) -> SessionState:
    """Removes the session cookie from this browser."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return SessionState(signed_in=False)


def is_right_token(resources: Resources, request: Request, token: str) -> bool:
    """Compares and counts; TooManyAttempts after ten wrong ones in a minute from one address."""
    address = request.client.host if request.client else "unknown"
    if resources.attempt_limit.is_reached(address):
        raise TooManyAttempts("There were too many wrong tokens from this address.", "Wait a minute, then try again.")
    is_right = resources.gatekeeper.knows_token(token)
    if not is_right:
        resources.attempt_limit.count_failure(address)
    return is_right


def set_cookie(response: Response, request: Request, resources: Resources) -> None:
    response.set_cookie(
        COOKIE,
        resources.gatekeeper.cookie_value,
        max_age=COOKIE_MAX_AGE_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
