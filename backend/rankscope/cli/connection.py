"""The server that commands speak to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from rankscope.cli.errors import fail, one_sentence
from rankscope.client import Client
from rankscope.settings import read_settings


@contextmanager
def connected() -> Iterator[Client]:
    """A client from RANKSCOPE_URL and RANKSCOPE_TOKEN, else for this machine's own server."""
    with one_sentence():
        settings = read_settings()
        token_file = settings.data_dir / "token"
        token = settings.token or (token_file.read_text(encoding="utf-8").strip() if token_file.is_file() else "")
        if not (token.isascii() and token.isprintable()):
            fail("The token has characters that no token has; look at RANKSCOPE_TOKEN.")
        url = os.environ.get("RANKSCOPE_URL") or f"http://{settings.host}:{settings.port}"
        try:
            with Client(url, token) as client:
                yield client
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            fail(f"RANKSCOPE_URL is {url!r}, which is not an address ({error}). Write it as http://127.0.0.1:8123.")
        except httpx.TransportError as error:
            fail(
                f"No RankScope server answers at {url} ({error}). Start one with `rankscope up`, or set RANKSCOPE_URL."
            )
