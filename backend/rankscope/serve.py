"""Serves the API and the page until Ctrl-C or SIGTERM. The socket is bound before anything else starts."""

import asyncio
import errno
import gc
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import uvicorn
from fastapi import FastAPI

from rankscope.api.guard.auth import load_or_create_token
from rankscope.api.guard.hosts import WILDCARDS
from rankscope.app import create_app
from rankscope.connections import allow_open_files, bounded
from rankscope.contract.errors import StartupError
from rankscope.data_folder import in_use, prepare_data_dir
from rankscope.launch.enqueue import Nudger
from rankscope.settings import Settings
from rankscope.store.database.readiness import check_broker, line_of, open_database


def serve_api(settings: Settings, *, echo: Callable[[str], None] = print) -> None:
    """Runs `rankscope api`. Raises StartupError with one sentence if it can't start."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    notices = prepare_data_dir(settings)
    with in_use(settings.data_dir), bound_socket(settings.host, settings.port) as listener:
        link = sign_in_link(settings, listener)
        open_database(settings.resolved_database_url, migrates=True).dispose()
        for notice in (*notices, check_broker(settings.broker_url)):
            if notice:
                echo(notice)
        serve(settings, listener, lambda: echo(f"RankScope is ready at {link}"))


def server_config(app: FastAPI, settings: Settings, *, connections: int | None = None) -> uvicorn.Config:
    """Returns uvicorn's configuration. Only proxies that the settings name are trusted.

    `connections`: the largest number of connections. None: as many as the limit of open files allows.
    """
    return uvicorn.Config(
        app,
        http=bounded(connections or allow_open_files()),
        log_level="warning",
        timeout_graceful_shutdown=5,
        access_log=False,
        lifespan="on",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
    )


def serve(settings: Settings, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Runs uvicorn until a signal. Calls `on_ready` once requests are accepted. Raises StartupError if it can't start."""
    app = create_app(settings)
    server = uvicorn.Server(server_config(app, settings))
    log = logging.getLogger("uvicorn.error")
    # A start-up error is raised below as one sentence. uvicorn would log a stack trace as well.
    log.addFilter(is_of_a_started_server := lambda _record: server.started)

    async def run() -> None:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        if server.started:
            # Half a million objects of the imports and routes live as long as the process. A full collection that visits
            # them stops every thread for 160 ms, about once in 100 pages of runs.
            gc.freeze()
            # Runs may have been queued before this start, and their messages may be lost.
            await asyncio.to_thread(Nudger(settings.broker_url).nudge)
            on_ready()
        await task

    try:
        with suppress(KeyboardInterrupt):  # uvicorn has shut down and raises the signal again
            asyncio.run(run())
    finally:
        log.removeFilter(is_of_a_started_server)
    error: Exception | None = getattr(app.state, "startup_error", None)
    if isinstance(error, StartupError):
        raise error
    if error is not None:
        raise StartupError(f"The server can't start ({type(error).__name__}: {line_of(error)}).") from error


def sign_in_link(settings: Settings, listener: socket.socket) -> str:
    """Returns the URL to open, with the token. If the server listens on all addresses, other machines can use it too."""
    host, port = settings.host.strip("[]"), listener.getsockname()[1]
    if host in WILDCARDS:
        host = outward_address(host == "::")
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?token={load_or_create_token(settings)}"


def outward_address(with_ipv6: bool) -> str:
    """Returns the first address of this machine that other machines can reach; 127.0.0.1 if there is no network."""
    states = psutil.net_if_stats()
    families = (socket.AF_INET, socket.AF_INET6) if with_ipv6 else (socket.AF_INET,)
    for family in families:
        for name, addresses in psutil.net_if_addrs().items():
            for each in addresses:
                if each.family == family and name in states and states[name].isup:
                    address = ipaddress.ip_address(each.address.partition("%")[0])
                    if not (address.is_loopback or address.is_link_local):
                        return str(address)
    return "127.0.0.1"


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Binds the port before anything else starts, so that a port in use costs nothing. Raises StartupError."""
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "not a host name"
        raise StartupError(
            f"Can't listen on host {host!r} ({why}). Choose an address of this machine with --host or RANKSCOPE_HOST."
        ) from error
    family, _, _, _, address = found[0]
    # Name TCP explicitly: only then does asyncio set TCP_NODELAY, without which each small response is 40 ms late.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(2048)
        except OSError as error:
            raise StartupError(_port_refusal(host, port, error)) from error
        yield listener


def _port_refusal(host: str, port: int, error: OSError) -> str:
    where = f"Port {port} on {host} can't be used ({error.strerror})."
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return f"{where} Choose an address of this machine with --host or RANKSCOPE_HOST."
        case errno.EACCES:
            return f"{where} Choose a port above 1023 with --port or RANKSCOPE_PORT."
    return f"{where} Stop the program that uses it, or choose another port with --port or RANKSCOPE_PORT (0: any free port)."
