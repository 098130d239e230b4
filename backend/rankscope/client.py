"""`rankscope.Client`: the REST API in Python. The command line uses it."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from rankscope.contract.errors import RankScopeError

Json = dict[str, Any]

_READ_TIMEOUT_S = 45.0
"""The server sends at least a keep-alive every 15 s."""
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


class ApiError(RankScopeError):
    """The server rejected the request. `problem` is its response (title, status, detail, next_step, errors)."""

    def __init__(self, problem: Json) -> None:
        lines = [problem.get("detail", "The server rejected the request.")]
        lines += [
            f"  {error.get('field')}: {error.get('message')} {error.get('next_step', '')}"
            for error in problem.get("errors", [])
            if isinstance(error, dict)
        ]
        super().__init__("\n".join(lines).rstrip(), problem.get("next_step", ""))
        self.problem = problem


class Client:
    """A signed-in connection to one RankScope server."""

    def __init__(self, url: str = "http://127.0.0.1:8123", token: str = "", timeout_s: float = 30.0) -> None:
        self.url = url
        self.pause_s = 1.0
        """Between two attempts to reconnect."""
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=timeout_s
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def launch(self, config: Json, *, name: str | None = None, tags: list[str] | None = None) -> Json:
        """Queues a run and returns it. `config` follows GET /config-schema."""
        return self._json("POST", "/runs", json={"config": config, "name": name, "tags": tags or []})

    def validate(self, config: Json) -> Json:
        """Returns the plan for a configuration, or its problems. Launches nothing."""
        return self._json("POST", "/runs/validate", json={"config": config})

    def run(self, run_id: str) -> Json:
        return self._json("GET", f"{_run(run_id)}")

    def runs(self, **query: Any) -> Json:
        """Returns one page of runs. Query parameters: status, tag, method, search, sort, limit, cursor."""
        return self._json("GET", "/runs", params={key: value for key, value in query.items() if value is not None})

    def stop(self, run_id: str, *, save: bool = True) -> Json:
        return self._json("POST", f"{_run(run_id)}/stop", json={"save": save})

    def resume(self, run_id: str) -> Json:
        return self._json("POST", f"{_run(run_id)}/resume")

    def retry(self, run_id: str, changes: Json | None = None) -> Json:
        """Queues a stopped or failed run again, with changes that keep it the same training."""
        return self._json("POST", f"{_run(run_id)}/retry", json={"changes": changes or {}})

    def fork(
        self, run_id: str, *, step: int | None = None, changes: Json | None = None, name: str | None = None
    ) -> Json:
        """Queues and returns a new run that starts from the run's checkpoint at `step` (None: the newest), with changes."""
        return self._json("POST", f"{_run(run_id)}/fork", json={"step": step, "changes": changes or {}, "name": name})

    def tree(self, run_id: str) -> Json:
        """Returns the run, its ancestors, and all their forks."""
        return self._json("GET", f"{_run(run_id)}/tree")

    def checkpoints(self, run_id: str) -> Json:
        return self._json("GET", f"{_run(run_id)}/checkpoints")

    def steer(self, run_id: str, action: str, *, target_rank: int | None = None) -> Json:
        """Requests to `hold`, `release` or `freeze` a live run's pruning, or to change its `target`."""
        return self._json("POST", f"{_run(run_id)}/steer", json={"action": action, "target_rank": target_rank})

    def queue(self) -> Json:
        """Returns the queued runs, the next one first."""
        return self._json("GET", "/queue")

    def reorder(self, run_ids: list[str]) -> Json:
        """Puts these queued runs into this order, within the queue positions that they have now."""
        return self._json("POST", "/queue/reorder", json={"run_ids": run_ids})

    def edit(self, run_id: str, config: Json) -> Json:
        """Replaces the configuration of a queued run that has not started yet."""
        return self._json("PUT", f"{_run(run_id)}/config", json={"config": config})

    def prioritize(self, run_id: str, priority: int) -> Json:
        return self._json("PATCH", f"{_run(run_id)}", json={"priority": priority})

    def datasets(self) -> Json:
        """Returns the data sets of the installation."""
        return self._json("GET", "/datasets")

    def upload_dataset(self, name: str, content: bytes) -> Json:
        """Uploads a data file and starts its import. The data set's id is `imported:` followed by `set_id`."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._json(
            "POST", "/datasets/uploads", content=content, params={"name": name}, headers=headers, timeout=600
        )

    def dataset_imports(self) -> Json:
        """Returns the imports of uploaded files that are running or have failed."""
        return self._json("GET", "/datasets/uploads")

    def experiments(self) -> Json:
        """Returns all experiments, without their answers."""
        return self._json("GET", "/experiments")

    def experiment(self, experiment_id: str) -> Json:
        """Returns an experiment with its design."""
        return self._json("GET", f"/experiments/{quote(experiment_id, safe='')}")

    def plan_experiment(self, request: Json) -> Json:
        """Returns the design of an experiment and its number of runs, or its problems. Launches nothing."""
        return self._json("POST", "/experiments/validate", json=request)

    def launch_experiment(self, request: Json) -> Json:
        """Launches an experiment: name, config, methods, budgets, seeds and so on, as POST /experiments."""
        return self._json("POST", "/experiments", json=request)

    def change_experiment(self, experiment_id: str, action: str) -> Json:
        """Does `pause`, `resume` or `stop`."""
        return self._json("POST", f"/experiments/{quote(experiment_id, safe='')}/{action}")

    def extend_experiment(self, experiment_id: str, seeds: list[int]) -> Json:
        """Adds seeds."""
        return self._json("POST", f"/experiments/{quote(experiment_id, safe='')}/extend", json={"seeds": seeds})

    def import_experiment(self, lines: bytes, **options: Any) -> Json:
        """Imports results, one JSON object per line. Options: name, metric, baseline, margin, lower_is_better."""
        given = {name: value for name, value in options.items() if value is not None}
        headers = {"Content-Type": "application/octet-stream"}
        return self._json("POST", "/experiments/import", content=lines, params=given, headers=headers)

    def answer(self, experiment_id: str, **selection: Any) -> Json:
        """Returns the answer of an experiment. Selection: task, budget, variants."""
        given = {name: value for name, value in selection.items() if value is not None}
        return self._json("GET", f"/experiments/{quote(experiment_id, safe='')}/answer", params=given)

    def paper_table(self, experiment_id: str, target: Path, form: str = "csv") -> Path:
        """Downloads methods x tasks and budgets as csv, markdown or latex."""
        path = f"/experiments/{quote(experiment_id, safe='')}/table?{urlencode({'format': form})}"
        return self._download(path, target, "text/" if form != "latex" else "application/x-tex")

    def sweeps(self) -> Json:
        """Returns the newest sweeps, each with its best point."""
        return self._json("GET", "/sweeps")

    def plan_sweep(self, request: Json) -> Json:
        """Returns the number of points and runs of a sweep, or its problems. Launches nothing."""
        return self._json("POST", "/sweeps/validate", json=request)

    def launch_sweep(self, request: Json) -> Json:
        """Launches a sweep: name, config, parameters, search, seeds and so on, as POST /sweeps."""
        return self._json("POST", "/sweeps", json=request)

    def sweep(self, sweep_id: str) -> Json:
        return self._json("GET", _sweep(sweep_id))

    def change_sweep(self, sweep_id: str, action: str) -> Json:
        """Does `pause`, `resume` or `stop`."""
        return self._json("POST", f"{_sweep(sweep_id)}/{action}")

    def extend_sweep(self, sweep_id: str, **added: Any) -> Json:
        """Adds points, seeds, hours or runs."""
        return self._json("POST", f"{_sweep(sweep_id)}/extend", json=added)

    def leaderboard(self, sweep_id: str, *, limit: int = 100) -> Json:
        """Returns the points of a sweep with their statistics, the best first."""
        return self._json("GET", f"{_sweep(sweep_id)}/leaderboard", params={"limit": limit})

    def sweep_table(
        self, sweep_id: str, target: Path, form: str = "csv", *, rows: str | None = None, columns: Sequence[str] = ()
    ) -> Path:
        """Downloads all points, or a matrix of two or three parameters, as csv, markdown or latex."""
        query = [("format", form), *([("rows", rows)] if rows else []), *(("columns", one) for one in columns)]
        path = f"{_sweep(sweep_id)}/table?{urlencode(query)}"
        return self._download(path, target, "text/" if form != "latex" else "application/x-tex")

    def health(self) -> Json:
        return self._json("GET", "/system/health")

    def watch(self, run_id: str, after: int = 0, *, notify: Callable[[str], None] | None = None) -> Iterator[Json]:
        """Yields the run's events after number `after` as they occur, each exactly once, until the run has ended.

        A lost connection is retried without limit and continues after the last event. `notify` gets a sentence when the
        connection is lost and when it is restored. Raises ApiError if the server rejects the request (the run was deleted,
        the token is wrong), and httpx.TransportError if the first connection fails.
        """
        say = notify or str
        is_lost, was_connected = False, False
        while True:
            try:
                with self._http.stream(
                    "GET",
                    f"{_run(run_id)}/events/stream",
                    params={"after": after},
                    headers={"Last-Event-ID": str(after)},
                    timeout=httpx.Timeout(30, read=_READ_TIMEOUT_S),
                ) as answer:
                    if answer.status_code in _TRANSIENT and was_connected:
                        raise httpx.RemoteProtocolError(f"it returned {answer.status_code}")
                    self._check_kind(answer, "text/event-stream")
                    was_connected = True
                    if is_lost:
                        is_lost = False
                        say("The connection was restored.")
                    for kind, data in _messages(answer.iter_lines()):
                        if kind == "end":
                            return
                        if kind != "message":
                            continue  # about the run itself, not one of its events
                        event: Json = json.loads(data)
                        if event["seq"] > after:
                            after = event["seq"]
                            yield event
                problem = "the server closed it"
            except (httpx.TransportError, httpx.DecodingError) as error:
                if not was_connected:
                    raise
                problem = str(error) or type(error).__name__
            if not is_lost:
                is_lost = True
                say(
                    f"The connection was lost ({problem}). Retrying until the server is back. Ctrl-C does not stop the run."
                )
            time.sleep(self.pause_s)

    def export(self, run_id: str, target: Path, layout: str = "uniform") -> Path:
        """Writes the adapter as a zip to `target`, which it returns.

        `layout`: "uniform" for every program that reads LoRA, or "compact" for PEFT.
        """
        return self._download(f"{_run(run_id)}/adapter?{urlencode({'layout': layout})}", target)

    def bundle(self, run_id: str, target: Path) -> Path:
        """Writes all data of the run as a zip to `target`, which it returns: events, metrics, ledger, logs, report, result."""
        return self._download(f"{_run(run_id)}/bundle", target)

    def import_bundle(self, source: Path) -> Json:
        """Imports a run from its bundle, and returns it."""
        with source.open("rb") as file:
            size = {"Content-Type": "application/octet-stream", "Content-Length": str(source.stat().st_size)}
            return self._json("POST", "/runs/import", content=file, headers=size, timeout=600)

    def _download(self, path: str, target: Path, media_type: str = "application/zip") -> Path:
        with self._http.stream("GET", path) as answer:
            self._check_kind(answer, media_type)
            with target.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        return target

    def _json(self, method: str, path: str, **arguments: Any) -> Json:
        answer = self._http.request(method, path, **arguments)
        if not answer.is_success:
            self._refuse(answer)
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise self._not_rankscope()
        return body

    def _check_kind(self, answer: httpx.Response, media_type: str) -> None:
        """Raises ApiError if the server rejects the request, or if it is not a RankScope server."""
        if not answer.is_success:
            answer.read()
            self._refuse(answer)
        if not answer.headers.get("content-type", "").startswith(media_type):
            raise self._not_rankscope()

    def _not_rankscope(self) -> ApiError:
        return ApiError({"detail": f"The server at {self.url} is not RankScope.", "next_step": "Check RANKSCOPE_URL."})

    @staticmethod
    def _refuse(answer: httpx.Response) -> None:
        try:
            problem = answer.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or not isinstance(problem.get("detail"), str):
            problem = {
                "detail": f"The server returned status {answer.status_code} without an explanation.",
                "status": answer.status_code,
            }
        raise ApiError(problem)


def _run(run_id: str) -> str:
    """Returns the path of a run, with its id quoted."""
    return f"/runs/{quote(run_id, safe='')}"


def _sweep(sweep_id: str) -> str:
    return f"/sweeps/{quote(sweep_id, safe='')}"


def _messages(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields (event, data) for each complete server-sent event; an incomplete one at the end is dropped."""
    kind, data = "message", []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)
        elif not line:
            if data:
                yield kind, "\n".join(data)
            kind, data = "message", []
