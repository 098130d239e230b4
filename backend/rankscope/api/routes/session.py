"""Signing in and out of the page."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from rankscope.api.deps import Resources, ResourcesDep
from rankscope.api.guard.access import SMALL_JSON, open_to_all
from rankscope.api.guard.gate import client_address, session_cookies, signed_in_by
from rankscope.api.guard.sessions import COOKIE_MAX_AGE_S, cookie_name
from rankscope.api.shapes.base import SessionState, SignIn
from rankscope.contract.errors import NotSignedIn

router = APIRouter(prefix="/session", tags=["session"])


@router.get("")
@open_to_all()
def get_session(request: Request, resources: ResourcesDep) -> SessionState:
    """Whether this request is signed in."""
    return SessionState(signed_in=any(signed_in_by(request.headers, resources)))


@router.post("")
@open_to_all(SMALL_JSON)
def sign_in(
    body: Annotated[SignIn, Body(examples=[{"token": "the token that RankScope printed"}])],
    request: Request,
    response: Response,
    resources: ResourcesDep,
) -> SessionState:
    """Sets the session cookie if the token is right. After ten wrong tokens in a minute, further wrong ones get 429."""
    if not is_right_token(resources, request, body.token):
        raise NotSignedIn(
            "This is not the sign-in token.",
            "Use the link that RankScope printed when it started; the token is also in the file `token` in the data folder.",
        )
    set_cookie(response, request, resources)
    return SessionState(signed_in=True)


@router.delete("")
@open_to_all()
def sign_out(
    request: Request,
    response: Response,
    resources: ResourcesDep,
    everywhere: Annotated[bool, Query(description="End the sessions of all other browsers too.")] = False,
) -> SessionState:
    """Ends this browser's session: its cookie stops working, including copies of it."""
    if everywhere:
        if not any(signed_in_by(request.headers, resources)):
            raise NotSignedIn("You must be signed in to sign out everywhere.", "Sign in first.")
        resources.sessions.end_all()
    for value in session_cookies(request.headers):
        resources.sessions.end(value)
    response.delete_cookie(
        cookie_name(request.headers.get("host", "")),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return SessionState(signed_in=False)


def is_right_token(resources: Resources, request: Request, token: str) -> bool:
    """Whether the token is correct, which is always accepted; counts a wrong one, TooManyAttempts after ten."""
    if resources.gatekeeper.knows_token(token):
        return True
    resources.attempt_limit.count_failure(client_address(request.scope))
    return False


def set_cookie(response: Response, request: Request, resources: Resources) -> None:
    """Opens a session. `Secure` depends on the scheme, which only trusted proxies may report when they terminate TLS."""
    response.set_cookie(
        cookie_name(request.headers.get("host", "")),
        resources.sessions.open(),
        max_age=COOKIE_MAX_AGE_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
