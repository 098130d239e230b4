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
    """Sets the session cookie when the token is right. After ten wrong ones in a minute, wrong ones are answered by 429."""
    if not is_right_token(resources, request, body.token):
        raise NotSignedIn(
            "This is not the sign-in token.",
            "Use the link that RankScope printed at its start; the token is also in the file `token` of the data folder.",
        )
    set_cookie(response, request, resources)
    return SessionState(signed_in=True)


@router.delete("")
@open_to_all()
def sign_out(
    request: Request,
    response: Response,
    resources: ResourcesDep,
    everywhere: Annotated[bool, Query(description="Also in all other browsers.")] = False,
) -> SessionState:
    """Ends this browser's session: its cookie no longer works, here or where it was copied to."""
    if everywhere:
        if not any(signed_in_by(request.headers, resources)):
            raise NotSignedIn("Only who is signed in can sign out everywhere.", "Sign in first.")
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
    """Compares first, so that a right one is let in at any time; counts a wrong one, TooManyAttempts after ten."""
    if resources.gatekeeper.knows_token(token):
        return True
    resources.attempt_limit.count_failure(client_address(request.scope))
    return False


def set_cookie(response: Response, request: Request, resources: Resources) -> None:
    """Opens a session. `Secure` by the scheme: behind a proxy that ends TLS it is known from trusted proxies only."""
    response.set_cookie(
        cookie_name(request.headers.get("host", "")),
        resources.sessions.open(),
        max_age=COOKIE_MAX_AGE_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
