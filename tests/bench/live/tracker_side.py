"""The other side of the comparison, run by a Python that has the tracker: `python tracker_side.py trackio|tensorboard`.

Only the standard library and the tracker. Prints one JSON line: points taken in a second (until handed over),
milliseconds from the log call until an HTTP read shows it, and the bytes that its own page fetches while a run is
watched, at its own refresh rate. Everything runs in a separate folder, and processes are ended by their process id.
"""

import contextlib
import gzip
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

STEPS, WIDTH, STEPS_PER_S = 2000, 100, 50
SINGLE, GAP_S = 12, 0.37
SEEN_WITHIN_S = 60.0

Log = Callable[[int, dict[str, float]], object]


def names() -> list[str]:
    return [f"rank/{index}" for index in range(WIDTH)]


def row(step: int) -> dict[str, float]:
    return {name: (step * index) % 97 / 7 for index, name in enumerate(names())}


def fetch(url: str, body: object = None) -> tuple[bytes, int]:
    """The response and its bytes on the wire, gzipped as for a browser."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
    with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=120) as answer:
        raw = answer.read()
        text = gzip.decompress(raw) if answer.headers.get("Content-Encoding") == "gzip" else raw
    return text, len(raw)


@contextlib.contextmanager
def server(command: list[str], address: str, folder: Path) -> Iterator[None]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                fetch(address)
                break
            if process.poll() is not None:
                raise RuntimeError((folder / "server.log").read_text(errors="replace")[-2000:])
            time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def intake(log: Log, finish: Callable[[], object]) -> float:
    began = time.perf_counter()
    for step in range(STEPS):
        log(step, row(step))
    finish()
    return STEPS * WIDTH / (time.perf_counter() - began)


def delays_ms(log: Callable[[int], object], seen: Callable[[], int]) -> list[float]:
    """Logs each point alone, then reads every 20 ms until it shows, more often than the tracker's page does."""
    delays = []
    for index in range(SINGLE):
        began = time.perf_counter()
        log(index)
        while time.perf_counter() - began < SEEN_WITHIN_S:
            with contextlib.suppress(OSError, ValueError, KeyError):
                if seen() > index:
                    break
            time.sleep(0.02)
        delays.append(1000 * (time.perf_counter() - began))
        time.sleep(GAP_S)
    return delays


def watched_bytes(log: Log, refresh: Callable[[], int], every_s: float) -> int:
    """Bytes that a page fetches while `STEPS` steps are logged at `STEPS_PER_S`, one refresh at a time, and one at the end."""
    is_over = threading.Event()
    total = 0

    def watch() -> None:
        nonlocal total
        while not is_over.wait(every_s):
            with contextlib.suppress(OSError):
                total += refresh()

    thread = threading.Thread(target=watch)
    thread.start()
    began = time.perf_counter()
    for step in range(STEPS):
        log(step, row(step))
        time.sleep(max(0.0, began + (step + 1) / STEPS_PER_S - time.perf_counter()))
    time.sleep(1)
    is_over.set()
    thread.join()
    return total + refresh()


def trackio(folder: Path, port: int) -> dict[str, Any]:
    os.environ.update(TRACKIO_DIR=str(folder / "data"), HF_HUB_OFFLINE="1", DO_NOT_TRACK="1")
    import trackio as tool  # type: ignore[import-not-found]

    def begin(name: str) -> None:
        tool.init(project="bench", name=name, embed=False, auto_log_gpu=False, auto_log_cpu=False)

    def log(step: int, values: dict[str, float]) -> None:
        tool.log(values, step=step)

    begin("intake")
    points_per_s = intake(log, tool.finish)
    show = (
        "import trackio, time\n"
        f"trackio.show(open_browser=False, block_thread=False, server_port={port}, host='127.0.0.1')\n"
        "time.sleep(3600)\n"
    )
    base = f"http://127.0.0.1:{port}"

    def refresh(run: str) -> tuple[int, int]:
        """The request that its Metrics page makes every second, for the whole run. Returns rows and bytes."""
        body = {"project": "bench", "runs": [{"run": run}], "scalar_only": True}
        text, size = fetch(f"{base}/api/get_logs_batch", body)
        answer = json.loads(text)
        found = answer.get("data", answer) if isinstance(answer, dict) else answer
        return len(found[0]["logs"]), size

    with server([sys.executable, "-c", show], f"{base}/version", folder):
        begin("single")
        delays = delays_ms(lambda index: log(index, {"loss": float(index)}), lambda: refresh("single")[0])
        tool.finish()
        begin("watched")
        size = watched_bytes(log, lambda: refresh("watched")[1], every_s=1.0)
        tool.finish()
        if refresh("watched")[0] != STEPS:
            raise RuntimeError("Trackio's page does not show every step.")
    return {"version": tool.__version__, "points_per_s": points_per_s, "delay_ms": delays, "bytes": size}


def tensorboard(folder: Path, port: int) -> dict[str, Any]:
    import tensorboard as tool  # type: ignore[import-not-found]
    from tensorboard.summary import Writer  # type: ignore[import-not-found]

    logs = folder / "logs"

    def writer(name: str) -> Any:
        return Writer(str(logs / name))

    def log_to(target: Any) -> Log:
        def log(step: int, values: dict[str, float]) -> None:
            for name, value in values.items():
                target.add_scalar(name, value, step=step)

        return log

    whole = writer("intake")
    points_per_s = intake(log_to(whole), whole.close)
    command = [str(Path(sys.executable).parent / "tensorboard"), "--logdir", str(logs), "--host", "127.0.0.1"]
    base = f"http://127.0.0.1:{port}"

    def scalars(run: str, tag: str) -> tuple[list[Any], int]:
        text, size = fetch(f"{base}/data/plugin/scalars/scalars?run={run}&tag={tag}")
        return json.loads(text), size

    # Its page reloads every 30 s by itself; its server reads new events as soon as it may.
    with server([*command, "--port", str(port), "--reload_interval", "1"], f"{base}/data/environment", folder):
        single = writer("single")

        def log_single(index: int) -> None:
            single.add_scalar("loss", float(index), step=index)
            single.flush()

        delays = delays_ms(log_single, lambda: len(scalars("single", "loss")[0]))
        single.close()
        watched = writer("watched")
        size = watched_bytes(
            log_to(watched), lambda: sum(scalars("watched", name)[1] for name in names()), every_s=30.0
        )
        watched.close()
    return {"version": tool.__version__, "points_per_s": points_per_s, "delay_ms": delays, "bytes": size}


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="rankscope-bench-tracker-") as folder:
        side = {"trackio": trackio, "tensorboard": tensorboard}[sys.argv[1]](Path(folder), port)
    side["delay_ms"] = statistics.median(side["delay_ms"])
    print(json.dumps(side), flush=True)


if __name__ == "__main__":
    main()
