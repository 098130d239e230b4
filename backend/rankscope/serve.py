"""Serves the API and the page on a socket that is taken first, until Ctrl-C or SIGTERM."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn

from rankscope.api.auth import load_or_create_token
from rankscope.app import create_app
from rankscope.contract.errors import StartupError
from rankscope.enqueue import Nudger
from rankscope.settings import Settings


def serve_api(settings: Settings, *, echo: Callable[[str], None] = print) -> None:
    """`rankscope api`: StartupError with one sentence when it cannot start."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    prepare_data_dir(settings)
    with bound_socket(settings.host, settings.port) as listener:
        address = sign_in_link(settings, listener.getsockname()[1])
        serve(settings, listener, lambda: echo(f"RankScope is ready at {address}"))


def serve(settings: Settings, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Runs uvicorn until a signal; `on_ready` is called once requests are answered."""
    config = uvicorn.Config(create_app(settings), log_level="warning", timeout_graceful_shutdown=5, access_log=False)
    server = uvicorn.Server(config)

    async def run() -> None:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        if server.started:
            # Runs may be waiting from before, and their messages may be lost.
            await asyncio.to_thread(Nudger(settings.broker_url).nudge)
            on_ready()
        await task

    with suppress(KeyboardInterrupt):  # uvicorn has shut down in order and raises the signal again
        asyncio.run(run())


def sign_in_link(settings: Settings, port: int) -> str:
    host = settings.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?token={load_or_create_token(settings)}"


def prepare_data_dir(settings: Settings) -> None:
    """Makes the data folder, private to its owner, or says in one sentence why that cannot be."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = settings.data_dir / f".write-test-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
        for folder in (settings.runs_dir, settings.models_dir, settings.datasets_dir):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StartupError(
            f"The data folder {settings.data_dir} cannot be written to ({error.strerror}). "
            "Choose another with --data-dir or RANKSCOPE_DATA_DIR."
        ) from error


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Takes the port before anything else is started, so that a taken one costs nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: asyncio turns Nagle's waiting off only then, and each small answer would come 40 ms late.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise StartupError(
                f"Port {port} on {host} cannot be used ({error.strerror}). Stop the program that has it, or choose another "
                "with --port or RANKSCOPE_PORT (0: any free one)."
            ) from error
        yield listener
