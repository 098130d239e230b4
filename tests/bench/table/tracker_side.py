"""The other side of the comparison, run by a Python that has the tracker: `tracker_side.py mlflow|aim RUNS_JSONL ROUNDS`.

Only the standard library and the tracker. Fills the tracker through its API, serves it with its own server, and makes
the requests of its page. Prints one JSON line: its version, and the p95 of each question in milliseconds.
"""

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PAGE = 100
INDEXED_S = 120
Ask = Callable[[], bytes]


def fetch(url: str, body: object = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return bytes(answer.read())


@contextlib.contextmanager
def server(command: list[str], address: str, folder: Path) -> Iterator[None]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 180
        while True:
            with contextlib.suppress(OSError):
                fetch(address)
                break
            if process.poll() is not None or time.monotonic() > deadline:
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


def p95(ask: Ask, rounds: int) -> float:
    times = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        ask()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.quantiles(times[2:], n=20)[-1]


def mlflow(folder: Path, port: int, runs: list[dict[str, Any]], rounds: int) -> dict[str, Any]:
    import mlflow as tool  # type: ignore[import-not-found]
    from mlflow.entities import Metric, Param, RunTag  # type: ignore[import-not-found]

    store = f"sqlite:///{folder / 'mlflow.db'}"
    client = tool.MlflowClient(tracking_uri=store)
    experiment = client.create_experiment("bench", artifact_location=str(folder / "artifacts"))
    for place, run in enumerate(runs):
        run_id = client.create_run(experiment, run_name=run["name"], start_time=1_700_000_000_000 + place).info.run_id
        client.log_batch(
            run_id,
            metrics=[
                Metric(name, value, 1_700_000_000_000 + step, step)
                for step, values in run["metrics"]
                for name, value in values.items()
            ],
            params=[Param(name, str(value)) for name, value in run["config"].items()],
            tags=[RunTag(tag, "yes") for tag in run["tags"]],
        )
        client.set_terminated(run_id)
    base = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--workers", "1"]

    def ask(order: str, filter: str = "") -> bytes:
        body = {"experiment_ids": [experiment], "max_results": PAGE, "order_by": [order], "filter": filter}
        return fetch(f"{base}/ajax-api/2.0/mlflow/runs/search", body)

    newest = "attributes.start_time DESC"
    questions: dict[str, tuple[Ask, str]] = {
        "first page": (lambda: ask(newest), f"{PAGE} runs"),
        "sort by metric": (lambda: ask("metrics.`eval_accuracy` DESC"), f"{PAGE} runs"),
        "filter": (lambda: ask(newest, "params.`method.target_rank` = '8'"), f"{PAGE} runs"),
    }
    with server([*command, "--host", "127.0.0.1", "--port", str(port)], f"{base}/health", folder):
        wait_until_found(lambda: len(json.loads(ask(newest, "params.`method.target_rank` = '8'"))["runs"]), runs)
        return answers(tool.__version__, questions, rounds)


def aim(folder: Path, port: int, runs: list[dict[str, Any]], rounds: int) -> dict[str, Any]:
    os.environ["AIM_ACCESS_LOG"] = ""
    import aim as tool  # type: ignore[import-not-found]
    from aim.__version__ import __version__ as version  # type: ignore[import-not-found]

    repo = tool.Repo.from_path(str(folder), init=True)
    for each in runs:
        run = tool.Run(repo=repo, system_tracking_interval=None, log_system_params=False, capture_terminal_logs=False)
        run.name = each["name"]
        run["config"] = each["config"]
        for tag in each["tags"]:
            run.add_tag(tag)
        for step, values in each["metrics"]:
            for name, value in values.items():
                run.track(value, name=name, step=step)
        run.close()
    base = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "aim"), "up", "--repo", str(folder), "--host", "127.0.0.1"]

    def ask(query: str = "", limit: int = PAGE) -> bytes:
        given = urllib.parse.urlencode({"q": query, "limit": limit, "report_progress": "false"})
        return fetch(f"{base}/api/runs/search/run/?{given}")

    wanted = "run.config['method.target_rank'] == 8"
    questions: dict[str, tuple[Ask, str]] = {
        "first page": (ask, f"{PAGE} runs"),
        # Its server has no order by a metric: the page sorts what it has loaded.
        "sort by metric": (lambda: ask(limit=0), "all runs, which its page sorts"),
        "filter": (lambda: ask(wanted), f"{PAGE} runs"),
    }
    with server([*command, "--port", str(port)], f"{base}/api/projects/", folder):
        wait_until_found(lambda: named(ask(wanted), runs), runs)
        return answers(version, questions, rounds)


def named(answer: bytes, runs: list[dict[str, Any]]) -> int:
    return sum(each["name"].encode() in answer for each in runs)


def wait_until_found(count: Callable[[], int], runs: list[dict[str, Any]]) -> None:
    """Waits until the filter finds the expected runs: a server may still index them after it has started."""
    expected = min(PAGE, sum(run["config"]["method.target_rank"] == 8 for run in runs))
    deadline = time.monotonic() + INDEXED_S
    while (found := count()) < expected:
        if time.monotonic() > deadline:
            raise RuntimeError(f"The filter finds {found} runs instead of {expected}, {INDEXED_S} s after the start.")
        time.sleep(1)
    time.sleep(5)  # the runs that the filter leaves out are indexed too


def answers(version: str, questions: dict[str, tuple[Ask, str]], rounds: int) -> dict[str, Any]:
    times = {name: p95(ask, rounds) for name, (ask, _) in questions.items()}
    return {"version": version, "ms": times, "how": {name: how for name, (_, how) in questions.items()}}


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tracker, source, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    runs = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="rankscope-bench-tracker-") as folder:
        print(json.dumps({"mlflow": mlflow, "aim": aim}[tracker](Path(folder), port, runs, rounds)), flush=True)
    # Threads of Aim's storage may never end, and would keep the process and the benchmark waiting.
    os._exit(0)


if __name__ == "__main__":
    main()
