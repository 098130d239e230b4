"""The connection to a server, for commands that use the REST API."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from rankscope.cli.errors import fail, one_sentence
from rankscope.client import Client
from rankscope.settings import read_settings


@contextmanager
def connected() -> Iterator[Client]:
    """Connects to RANKSCOPE_URL with RANKSCOPE_TOKEN, or to this machine's server. Errors end the command with a sentence."""
    with one_sentence():
        settings = read_settings()
        token_file = settings.data_dir / "token"
        token = settings.token or (token_file.read_text(encoding="utf-8").strip() if token_file.is_file() else "")
        if not (token.isascii() and token.isprintable()):
            fail("The token has invalid characters. Check RANKSCOPE_TOKEN.")
        url = os.environ.get("RANKSCOPE_URL") or f"http://{settings.host}:{settings.port}"
        try:
            with Client(url, token) as client:
                yield client
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            fail(
                f"RANKSCOPE_URL is {url!r}, which is not a valid address ({error}). Use a URL such as http://127.0.0.1:8123."
            )
        except httpx.TransportError as error:
            fail(
                f"No RankScope server responds at {url} ({error}). Start one with `rankscope up`, or set RANKSCOPE_URL."
            )
