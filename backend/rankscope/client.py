"""`rankscope.Client`: the REST API from Python. The command line is written with it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from rankscope.contract.errors import RankScopeError

Json = dict[str, Any]

_AWAY_S = 60.0


class ApiError(RankScopeError):
    """The server refused; `problem` is its answer (title, status, detail, next_step, errors)."""

    def __init__(self, problem: Json) -> None:
        lines = [problem.get("detail", "The server refused.")]
        lines += [
            f"  {error['field']}: {error['message']} {error.get('next_step', '')}"
            for error in problem.get("errors", [])
        ]
        super().__init__("\n".join(lines).rstrip(), problem.get("next_step", ""))
        self.problem = problem


class Client:
    """A signed-in connection to one RankScope server."""

    def __init__(self, url: str = "http://127.0.0.1:8123", token: str = "", timeout_s: float = 30.0) -> None:
        self.url = url
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
        return self._json("GET", f"/runs/{run_id}")

    def runs(self, **query: Any) -> Json:
        """One page of runs: status, tag, method, search, sort, limit, cursor."""
        return self._json("GET", "/runs", params={key: value for key, value in query.items() if value is not None})

    def stop(self, run_id: str, *, save: bool = True) -> Json:
        return self._json("POST", f"/runs/{run_id}/stop", json={"save": save})

    def resume(self, run_id: str) -> Json:
        return self._json("POST", f"/runs/{run_id}/resume")

    def retry(self, run_id: str, changes: Json | None = None) -> Json:
        """Queues a stopped or failed run again, with changes that leave it the same training."""
        return self._json("POST", f"/runs/{run_id}/retry", json={"changes": changes or {}})

    def fork(
        self, run_id: str, *, step: int | None = None, changes: Json | None = None, name: str | None = None
    ) -> Json:
        """A new run that begins with the run's checkpoint of `step` (None: the newest), changed as given."""
        return self._json("POST", f"/runs/{run_id}/fork", json={"step": step, "changes": changes or {}, "name": name})

    def tree(self, run_id: str) -> Json:
        """The run, what it was forked from, and what was forked from these."""
        return self._json("GET", f"/runs/{run_id}/tree")

    def checkpoints(self, run_id: str) -> Json:
        return self._json("GET", f"/runs/{run_id}/checkpoints")

    def steer(self, run_id: str, action: str, *, target_rank: int | None = None) -> Json:
        """`hold`, `release` or `freeze` a live run's pruning, or give it another `target`."""
        return self._json("POST", f"/runs/{run_id}/steer", json={"action": action, "target_rank": target_rank})

    def queue(self) -> Json:
        """Runs that wait, the next one first."""
        return self._json("GET", "/queue")

    def reorder(self, run_ids: list[str]) -> Json:
        """These waiting runs take, in this order, the places that they have now."""
        return self._json("POST", "/queue/reorder", json={"run_ids": run_ids})

    def edit(self, run_id: str, config: Json) -> Json:
        """Another configuration for a run that waits for its first start."""
        return self._json("PUT", f"/runs/{run_id}/config", json={"config": config})

    def prioritize(self, run_id: str, priority: int) -> Json:
        return self._json("PATCH", f"/runs/{run_id}", json={"priority": priority})

    def health(self) -> Json:
        return self._json("GET", "/system/health")

    def watch(self, run_id: str, after: int = 0) -> Iterator[Json]:
        """The run's events from `after` on, as they come, until the run has ended.

        Reconnects where it left off; gives up when the server has been away for `_AWAY_S`.
        """
        last_heard = time.monotonic()
        while True:
            try:
                with self._http.stream(
                    "GET", f"/runs/{run_id}/events/stream", params={"after": after}, timeout=httpx.Timeout(30, read=45)
                ) as answer:
                    if answer.is_error:
                        answer.read()
                        self._refuse(answer)
                    is_end = False
                    last_heard = time.monotonic()
                    for line in answer.iter_lines():
                        if line.startswith("event: end"):
                            is_end = True
                        elif line.startswith("data:") and not is_end:
                            event: Json = json.loads(line.removeprefix("data:"))
                            after = event["seq"]
                            yield event
                    if is_end:
                        return
            except httpx.TransportError:
                if time.monotonic() - last_heard > _AWAY_S:
                    raise
                time.sleep(1)  # a pause between two tries to connect

    def export(self, run_id: str, target: Path, layout: str = "uniform") -> Path:
        """Writes the adapter's zip to `target`. layout: uniform, for every reader of LoRA, or compact, for PEFT."""
        return self._download(f"/runs/{run_id}/adapter?{urlencode({'layout': layout})}", target)

    def bundle(self, run_id: str, target: Path) -> Path:
        """Writes a zip with everything of the run to `target`: events, metrics, ledger, logs, report, result."""
        return self._download(f"/runs/{run_id}/bundle", target)

    def _download(self, path: str, target: Path) -> Path:
        with self._http.stream("GET", path) as answer:
            if answer.is_error:
                answer.read()
                self._refuse(answer)
            with target.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        return target

    def _json(self, method: str, path: str, **arguments: Any) -> Json:
        answer = self._http.request(method, path, **arguments)
        if answer.is_error:
            self._refuse(answer)
        body: Json = answer.json()
        return body

    @staticmethod
    def _refuse(answer: httpx.Response) -> None:
        try:
            problem = answer.json()
        except ValueError:
            problem = {
                "detail": f"The server answered {answer.status_code} without saying why.",
                "status": answer.status_code,
            }
        raise ApiError(problem)
