"""Lives of runs as the page sees them: every event, and the history that the server returns after each.

`python -m tests.page_recordings` writes them for the page's tests; tests/house/test_page_recordings.py checks that the server
still sends the same. Database, API, recorder and training are the real ones. A kill is an exception where the training
would record its next event: nothing after it is stored, as with SIGKILL.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from rankscope.app import create_app
from rankscope.contract.events import MetricsEvent, RunEvent
from rankscope.contract.metrics import is_machine_metric
from rankscope.settings import Settings
from rankscope.store import queue
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.doorbell import Doorbell
from rankscope.store.runs import get_run
from rankscope_worker.child.recorder import Recorder
from rankscope_worker.child.stop import StopFlag
from rankscope_worker.child.train import _attempt, _cause
from rankscope_worker.host.endings import StopOrigin, classify, write_ending
from rankscope_worker.steer_requests import SteerRequest, SteerRequestQueue
from tests.stack import TOKEN
from tests.tiny import make_reviews, make_tiny_bert

Json = dict[str, Any]
FOLDER = Path(__file__).parents[1] / "frontend" / "src" / "features" / "run" / "live" / "recorded"
_ROW = ("status", "phase", "step", "total_steps", "attempt", "modules", "width", "last_seq")
_SMOOTHED: dict[str, Any] = {"names": "train_loss", "smooth": 0.9}
CONFIG: Json = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {
        "name": "dynamic_rank",
        "initial_rank": 3,
        "target_rank": 1,
        "prune_interval": 2,
        "prune_end_ratio": 0.9,
    },
    "training": {
        "max_steps": 8,
        "batch_size": 4,
        "max_length": 16,
        "learning_rate": 0.01,
        "eval_every": 4,
        "checkpoint_every": 3,
        "after_done": "keep",
    },
}


class _Killed(BaseException):
    """The training process has ended."""


class Life:
    """One run of an installation, attempt by attempt. `at(step)` of an attempt determines what happens at that step."""

    def __init__(self, folder: Path, client: TestClient, run_id: str = "") -> None:
        self.settings = Settings(_env_file=None, data_dir=folder, hardware_every_s=0)
        self.engine = create_engine(self.settings.resolved_database_url)
        self.client = client
        self.run_id = run_id or self.call("POST", "/runs", {"config": CONFIG, "name": "recorded"})["id"]
        self.histories: list[Json] = []
        self.observe()

    def call(self, method: str, path: str, body: Json | None = None, **query: Any) -> Json:
        answer = self.client.request(method, f"/api/v1{path}", json=body, params=query)
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    def act(self, verb: str, body: Json | None = None) -> Json:
        """A user's action on the run."""
        done = self.call("POST", f"/runs/{self.run_id}/{verb}", body)
        self.observe()
        return done

    def observe(self) -> None:
        """Reads the history, as the page does on opening."""
        path = f"/runs/{self.run_id}"
        run, ranks = self.call("GET", path), self.call("GET", f"{path}/ranks", frames=300)
        series = self.call("GET", f"{path}/series", points=600)
        smoothed = self.call("GET", f"{path}/series", points=600, **_SMOOTHED)
        self.histories.append(
            {"run": {name: run[name] for name in _ROW}, "ranks": ranks, "series": series, "smoothed": smoothed}
        )

    def events(self) -> list[Json]:
        items: list[Json] = self.call("GET", f"/runs/{self.run_id}/events", limit=5000)["items"]
        return items

    def attempt(
        self,
        at: Callable[["Life", int], None] = lambda _life, _step: None,
        change: Callable[[RunEvent], RunEvent] = lambda event: event,
    ) -> None:
        """A worker takes the run, and trains it until it ends."""
        with writing(self.engine) as session:
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=3600, now=time.time())
        assert claim is not None
        assert claim.run_id == self.run_id
        self.observe()
        self.stop, self.steer_requests = StopFlag(), SteerRequestQueue()
        folder = self.settings.attempt_dir(claim.run_id, claim.attempt)
        folder.mkdir(parents=True)
        recorder = _Observed(self, at, change, claim)
        code: int
        note = None
        try:
            code, note = _attempt(
                self.settings, self.engine, recorder, self.stop, self.steer_requests, claim.run_id, claim.attempt
            )
        except _Killed:
            code = -9
        except Exception as error:
            code, note = _cause(error, folder)
        recorder.close()
        stop_origin: StopOrigin = "user" if self.stop() else "none"
        ending = classify(code, stop_origin, note, folder / "log.txt", claim.config, None)
        write_ending(self.engine, claim, ending, max_lost_workers=5)
        self.observe()


class _Observed(Recorder):
    """The worker's recorder. Each event is stored, and the history read, before the training continues."""

    def __init__(
        self, life: Life, at: Callable[[Life, int], None], change: Callable[[RunEvent], RunEvent], claim: queue.Claim
    ) -> None:
        doorbell = Doorbell(life.settings.broker_url)
        super().__init__(life.engine, doorbell, claim.run_id, claim.attempt, pause_s=0)
        self._life, self._at, self._change = life, at, change

    def record(self, event: RunEvent) -> None:
        if event.kind == "metrics":
            # Speed differs between machines.
            values = {name: value for name, value in event.values.items() if not is_machine_metric(name)}
            if not values:
                return
            event = MetricsEvent(step=event.step, values=values)
        super().record(self._change(event))
        self.flush()
        self._life.observe()
        if event.kind == "metrics" and "train_loss" in event.values:
            self._at(self._life, event.step)

    def begin_training(self, start_step: int, trained_with: object = None) -> None:
        # Without the versions and the device, which differ from machine to machine.
        super().begin_training(start_step)
        self._life.observe()


# ---------------------------------------------------------------- what happens to a run


def killed(step: int) -> Callable[[Life, int], None]:
    def at(_life: Life, now: int) -> None:
        if now == step:
            raise _Killed

    return at


def stopped(step: int) -> Callable[[Life, int], None]:
    def at(life: Life, now: int) -> None:
        if now == step:
            life.act("stop", {"save": True})
            life.stop._save = True

    return at


def steered(step: int, action: str, **more: Any) -> Callable[[Life, int], None]:
    """The supervisor passes the request on."""

    def at(life: Life, now: int) -> None:
        if now == step:
            life.act("steer", {"action": action, **more})
            with reading(life.engine) as session:
                (stored,) = get_run(session, life.run_id).steer_requests
            request = SteerRequest(stored["id"], stored["action"], stored.get("target_rank"))
            life.steer_requests.feed(request.as_line())

    return at


def out_of_memory(step: int) -> Callable[[Life, int], None]:
    def at(_life: Life, now: int) -> None:
        if now == step:
            raise MemoryError

    return at


def broken_losses(event: RunEvent) -> RunEvent:
    """NaN at step 3 and infinity at step 6, as a batch may produce them; the training continues."""
    broken = {3: float("nan"), 6: float("inf")}
    if event.kind == "metrics" and event.step in broken and "train_loss" in event.values:
        return MetricsEvent(step=event.step, values=event.values | {"train_loss": broken[event.step]})
    return event


def _normal(life: Life) -> None:
    life.attempt()


def _killed_and_resumed(life: Life) -> None:
    life.attempt(killed(5))
    life.attempt()


def _interrupted_twice(life: Life) -> None:
    """The second attempt dies before its first checkpoint, so that the third begins where it did."""
    life.attempt(killed(5))
    life.attempt(killed(5))
    life.attempt()


def _resumed_earlier(life: Life) -> None:
    """The newest checkpoint is damaged, so the second attempt begins before the step that the first one saved."""
    life.attempt(killed(8))
    shutil.rmtree(life.settings.checkpoint_dir(life.run_id, 1, 6))
    life.attempt(killed(7))
    shutil.rmtree(life.settings.checkpoint_dir(life.run_id, 1, 3))
    shutil.rmtree(life.settings.checkpoint_dir(life.run_id, 2, 6))
    life.attempt()


def _stopped_and_resumed(life: Life) -> None:
    life.attempt(stopped(5))
    life.act("resume")
    life.attempt()


def _steered(life: Life) -> None:
    life.attempt(steered(2, "hold"))


def _steered_and_killed(life: Life) -> None:
    life.attempt(lambda of, step: (steered(2, "target", target_rank=2)(of, step), killed(5)(of, step))[0])
    life.attempt()


def _not_finite(life: Life) -> None:
    life.attempt(killed(5), broken_losses)
    life.attempt(change=broken_losses)


def _failed_and_retried(life: Life) -> None:
    life.attempt(out_of_memory(5))
    life.act("retry", {"changes": {"training": {"batch_size": 2, "gradient_accumulation": 2}}})
    life.attempt()


def _edited_while_queued(life: Life) -> None:
    config = life.call("GET", f"/runs/{life.run_id}")["config"]
    config["training"]["max_steps"] = 6
    life.call("PUT", f"/runs/{life.run_id}/config", {"config": config})
    life.observe()
    life.attempt()


def _forked(life: Life) -> None:
    life.attempt()
    child = life.act("fork", {"step": 6, "changes": {"training": {"max_steps": 10}}})
    life.run_id, life.histories = child["id"], []
    life.observe()
    life.attempt(killed(8))
    life.attempt()


LIVES: dict[str, Callable[[Life], None]] = {
    "normal": _normal,
    "killed-and-resumed": _killed_and_resumed,
    "interrupted-twice": _interrupted_twice,
    "resumed-earlier": _resumed_earlier,
    "stopped-and-resumed": _stopped_and_resumed,
    "steered": _steered,
    "steered-and-killed": _steered_and_killed,
    "not-finite": _not_finite,
    "failed-and-retried": _failed_and_retried,
    "edited-while-queued": _edited_while_queued,
    "forked": _forked,
}


def record(name: str, installation: Path) -> Json:
    """The events of one life, and the history after each of them, as changes to the one before."""
    with tempfile.TemporaryDirectory() as empty:
        folder = Path(empty)
        shutil.copytree(installation, folder, dirs_exist_ok=True)
        settings = Settings(_env_file=None, data_dir=folder, token=TOKEN, hardware_every_s=0)
        with TestClient(
            create_app(settings), base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {TOKEN}"}
        ) as client:
            life = Life(folder, client)
            try:
                LIVES[name](life)
                events = life.events()
            finally:
                life.engine.dispose()
    for event in events:
        event["time"] = float(event["seq"])  # independent of any clock
        if "request" in event:
            event["request"] = "request"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    histories, before = [], None
    for history in map(_by_name, life.histories):
        if before is None or history != before:
            histories.append(_change(before, history))
        before = history
    return {"events": events, "histories": histories}


def _by_name(history: Json) -> Json:
    """Lists of series by their names, so that a change to one is small."""
    for part in ("series", "smoothed"):
        history[part]["items"] = {one["name"]: one for one in history[part]["items"]}
    return history


def _change(before: Any, after: Any) -> Any:
    """The change from `before` to `after`: objects by field; for lists and texts that only grew, the added part."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() <= after.keys():
        return {name: _change(before.get(name), after[name]) for name in after if before.get(name, ...) != after[name]}
    if before and isinstance(before, list | str) and isinstance(after, type(before)) and after[: len(before)] == before:
        return {"$add": after[len(before) :]}
    return {"$set": after}


def installation(folder: Path) -> Path:
    """A data folder with a model and a data set."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    make_tiny_bert(folder / "models" / "tiny-bert", hidden=8, layers=1)
    make_reviews(folder / "datasets" / "reviews.csv", rows=60)
    return folder


def shape(value: Any) -> Any:
    """The part of a recording that is the same on every machine: everything except the digits of trained numbers.

    A checkpoint's size also depends on them, because its log has the losses as text.
    """
    if isinstance(value, dict):
        return {name: "number" if name == "size_bytes" else shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value]
    if isinstance(value, float):
        return "number"
    if isinstance(value, str) and len(value) > 15 and " " not in value:
        return f"{len(value)} characters"
    return value


def text_of(recording: Json) -> str:
    return json.dumps(recording, separators=(",", ":"), ensure_ascii=False) + "\n"


@contextlib.contextmanager
def _made() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield installation(Path(folder))


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    with _made() as made:
        for name in LIVES:
            target = FOLDER / f"{name}.json"
            target.write_text(text_of(record(name, made)), encoding="utf-8")
            sys.stdout.write(f"{target.name}: {target.stat().st_size / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
