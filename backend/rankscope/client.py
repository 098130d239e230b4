"""`rankscope.Client`: the REST API from Python. The command line is written with it."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from rankscope.contract.errors import RankScopeError

Json = dict[str, Any]

_SILENT_S = 45.0
"""A stream says something every 15 s, if only that it is there."""
_PASSING = frozenset({429, 500, 502, 503, 504})


class ApiError(RankScopeError):
    """The server refused; `problem` is its answer (title, status, detail, next_step, errors)."""

    def __init__(self, problem: Json) -> None:
        lines = [problem.get("detail", "The server refused.")]
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
        """Between two tries to connect again."""
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=timeout_s
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def launch(self, config: Json, *, name: str | None = None, tags: list[str] | None = None) -> Json:
        """Queues a run and returns it. `config` as in GET /config-schema."""
        return self._json("POST", "/runs", json={"config": config, "name": name, "tags": tags or []})

    def validate(self, config: Json) -> Json:
        """What the configuration would do; starts nothing."""
        return self._json("POST", "/runs/validate", json={"config": config})

    def run(self, run_id: str) -> Json:
        return self._json("GET", f"{_run(run_id)}")

    def runs(self, **query: Any) -> Json:
        """One page of runs: status, tag, method, search, sort, limit, cursor."""
        return self._json("GET", "/runs", params={key: value for key, value in query.items() if value is not None})

    def stop(self, run_id: str, *, save: bool = True) -> Json:
        return self._json("POST", f"{_run(run_id)}/stop", json={"save": save})

    def resume(self, run_id: str) -> Json:
        return self._json("POST", f"{_run(run_id)}/resume")

    def retry(self, run_id: str, changes: Json | None = None) -> Json:
        """Queues a stopped or failed run again, with changes that leave it the same training."""
        return self._json("POST", f"{_run(run_id)}/retry", json={"changes": changes or {}})

    def fork(
        self, run_id: str, *, step: int | None = None, changes: Json | None = None, name: str | None = None
    ) -> Json:
        """A new run that begins with the run's checkpoint of `step` (None: the newest), changed as given."""
        return self._json("POST", f"{_run(run_id)}/fork", json={"step": step, "changes": changes or {}, "name": name})

    def tree(self, run_id: str) -> Json:
        """The run, what it was forked from, and what was forked from these."""
        return self._json("GET", f"{_run(run_id)}/tree")

    def checkpoints(self, run_id: str) -> Json:
        return self._json("GET", f"{_run(run_id)}/checkpoints")

    def steer(self, run_id: str, action: str, *, target_rank: int | None = None) -> Json:
        """`hold`, `release` or `freeze` a live run's pruning, or give it another `target`."""
        return self._json("POST", f"{_run(run_id)}/steer", json={"action": action, "target_rank": target_rank})

    def queue(self) -> Json:
        """Runs that wait, the next one first."""
        return self._json("GET", "/queue")

    def reorder(self, run_ids: list[str]) -> Json:
        """These waiting runs take, in this order, the places that they have now."""
        return self._json("POST", "/queue/reorder", json={"run_ids": run_ids})

    def edit(self, run_id: str, config: Json) -> Json:
        """Another configuration for a run that waits for its first start."""
        return self._json("PUT", f"{_run(run_id)}/config", json={"config": config})

    def prioritize(self, run_id: str, priority: int) -> Json:
        return self._json("PATCH", f"{_run(run_id)}", json={"priority": priority})

    def health(self) -> Json:
        return self._json("GET", "/system/health")

    def watch(self, run_id: str, after: int = 0, *, tell: Callable[[str], None] | None = None) -> Iterator[Json]:
        """The run's events from `after` on, as they come, until the run has ended.

        A connection that breaks is made again, for as long as it takes, and goes on after the last event that came: each
        comes once. `tell` hears a sentence when that begins and when it is over. Raises ApiError where the server refuses
        (the run was deleted, the token is wrong), and httpx.TransportError where it cannot be reached at the start.
        """
        say = tell or str
        is_away, was_there = False, False
        while True:
            try:
                with self._http.stream(
                    "GET",
                    f"{_run(run_id)}/events/stream",
                    params={"after": after},
                    headers={"Last-Event-ID": str(after)},
                    timeout=httpx.Timeout(30, read=_SILENT_S),
                ) as answer:
                    if answer.status_code in _PASSING and was_there:
                        raise httpx.RemoteProtocolError(f"it answers {answer.status_code}")
                    self._check_kind(answer, "text/event-stream")
                    was_there = True
                    if is_away:
                        is_away = False
                        say("The connection is back.")
                    for kind, data in _messages(answer.iter_lines()):
                        if kind == "end":
                            return
                        if kind != "message":
                            continue  # about the run as a whole; not one of its events
                        event: Json = json.loads(data)
                        if event["seq"] > after:
                            after = event["seq"]
                            yield event
                problem = "the server ended it"
            except (httpx.TransportError, httpx.DecodingError) as error:
                if not was_there:
                    raise
                problem = str(error) or type(error).__name__
            if not is_away:
                is_away = True
                say(
                    f"The connection broke ({problem}). Trying again until the server is back; Ctrl-C ends the watching only."
                )
            time.sleep(self.pause_s)

    def export(self, run_id: str, target: Path, layout: str = "uniform") -> Path:
        """Writes the adapter's zip to `target`. layout: uniform, for every reader of LoRA, or compact, for PEFT."""
        return self._download(f"{_run(run_id)}/adapter?{urlencode({'layout': layout})}", target)

    def bundle(self, run_id: str, target: Path) -> Path:
        """Writes a zip with everything of the run to `target`: events, metrics, ledger, logs, report, result."""
        return self._download(f"{_run(run_id)}/bundle", target)

    def _download(self, path: str, target: Path) -> Path:
        with self._http.stream("GET", path) as answer:
            self._check_kind(answer, "application/zip")
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
            raise self._stranger()
        return body

    def _check_kind(self, answer: httpx.Response, media_type: str) -> None:
        """Raises ApiError where the server refuses, or where it is another program that answers."""
        if not answer.is_success:
            answer.read()
            self._refuse(answer)
        if not answer.headers.get("content-type", "").startswith(media_type):
            raise self._stranger()

    def _stranger(self) -> ApiError:
        return ApiError(
            {"detail": f"What answers at {self.url} is not RankScope.", "next_step": "Look at RANKSCOPE_URL."}
        )

    @staticmethod
    def _refuse(answer: httpx.Response) -> None:
        try:
            problem = answer.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or not isinstance(problem.get("detail"), str):
            problem = {
                "detail": f"The server answered {answer.status_code} without saying why.",
                "status": answer.status_code,
            }
        raise ApiError(problem)


def _run(run_id: str) -> str:
    """The path of a run, with its id quoted."""
    return f"/runs/{quote(run_id, safe='')}"


def _messages(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(event, data) of each server-sent event that came whole: a part at a broken end is none."""
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
