"""The built page: its files, and index.html for every address that the page handles."""

import gzip
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.convertors import Convertor, register_url_convertor

from rankscope.api.compression import accepts_gzip
from rankscope.api.deps import ResourcesDep
from rankscope.api.guard.gate import is_same_origin
from rankscope.api.routes.session import is_right_token, set_cookie
from rankscope.contract.errors import TooManyAttempts

router = APIRouter(include_in_schema=False)

_YEAR_S = 365 * 24 * 3600
_TEXTS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_NO_BUILD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>RankScope</title>
<h1>The page has not been built</h1>
<p>The API works; only the page's files are missing. Run <code>make run</code>, or build them with
<code>cd frontend &amp;&amp; npm ci &amp;&amp; npm run build</code>, then reload.</p></html>"""


class PagePath(Convertor[str]):
    """Any path outside the API: an unknown path below /api is a problem, never a page."""

    regex = "(?!api(?:/|$)).*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("page", PagePath())


@router.api_route("/{path:page}", methods=["GET", "HEAD"])
def get_page(path: str, request: Request, resources: ResourcesDep) -> Response:
    if "token" in request.query_params:
        return _sign_in(path, request, resources)
    file = _file(resources.static_dir, path)
    if file is not None:
        # Vite puts a content hash into names below assets/, so these files never change.
        is_hashed = path.startswith("assets/")
        cache = f"public, max-age={_YEAR_S}, immutable" if is_hashed else "no-cache"
        if is_hashed and file.suffix in _TEXTS and accepts_gzip(request.headers.get("accept-encoding", "")):
            headers = {"Cache-Control": cache, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            return Response(_packed(file), media_type=_TEXTS[file.suffix], headers=headers)
        return FileResponse(file, headers={"Cache-Control": cache})
    if path.startswith("assets/"):
        return HTMLResponse(f"{escape(path)} does not exist.", 404, headers={"Cache-Control": "no-store"})
    index = resources.static_dir / "index.html"
    if not index.is_file():
        return HTMLResponse(_NO_BUILD, 503, headers={"Cache-Control": "no-store"})
    return FileResponse(index, headers={"Cache-Control": "no-cache"})


@lru_cache(maxsize=64)
def _packed(file: Path) -> bytes:
    """The file at gzip's best level: compressed once, because it never changes."""
    return gzip.compress(file.read_bytes(), 9)


def _sign_in(path: str, request: Request, resources: ResourcesDep) -> Response:
    """The printed link: sets the cookie and removes the token from the address, so that it is not in the browser's history."""
    # Another site can link here with any token: that neither signs in nor counts as an attempt.
    if not is_same_origin(request.headers):
        return _refused("site")
    try:
        if not is_right_token(resources, request, request.query_params["token"]):
            return _refused("token")
    except TooManyAttempts as error:
        return _refused("attempts", {"Retry-After": str(error.retry_after_s)})
    rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "token"])
    # lstrip: "//host" would be another site's address.
    response = RedirectResponse(
        f"/{path.lstrip('/')}" + (f"?{rest}" if rest else ""), 303, headers={"Cache-Control": "no-store"}
    )
    set_cookie(response, request, resources)
    return response


def _refused(why: Literal["site", "token", "attempts"], headers: dict[str, str] | None = None) -> Response:
    return RedirectResponse(f"/sign-in?error={why}", 303, headers={"Cache-Control": "no-store"} | (headers or {}))


def _file(static_dir: Path, path: str) -> Path | None:
    """The built file at this address; never a file outside the folder."""
    if not path or "\x00" in path:
        return None
    root = static_dir.resolve()
    try:
        candidate = (root / path).resolve()
        return candidate if candidate.is_relative_to(root) and candidate.is_file() else None
    except OSError:  # the name is too long for a file
        return None
