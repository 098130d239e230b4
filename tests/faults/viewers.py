"""Viewer: a browser's EventSource in a thread. It reconnects with Last-Event-ID until the run is done, whatever happens."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx

from tests.stack import TOKEN

Event = dict[str, Any]


class Viewer:
    """Keeps every event in order of arrival, including duplicates, for the checks."""

    def __init__(self, url: str, run_id: str, *, leave_after: int | None = None) -> None:
        self.events: list[Event] = []
        self.connections = 0
        self.has_ended = False
        self._address = f"{url}/api/v1/runs/{run_id}/events/stream?after=0"
        self._leave_after = leave_after
        self._closing = threading.Event()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._follow, name=f"viewer-{run_id}", daemon=True)
        self._thread.start()

    @property
    def step(self) -> int:
        """The highest step seen so far; -1 before the first."""
        return max((event.get("step", -1) for event in list(self.events)), default=-1)

    def wait_for(self, is_it: Callable[[Event], bool], deadline_s: float) -> Event | None:
        """The first event, past ones included, for which `is_it` is true; None after the deadline or the end."""
        place = 0

        def look() -> Event | bool:
            nonlocal place
            while place < len(self.events):
                place += 1
                if is_it(self.events[place - 1]):
                    return self.events[place - 1]
            return self.has_ended

        with self._news:
            found = self._news.wait_for(look, deadline_s)
        return found if isinstance(found, dict) else None

    def join(self, deadline_s: float) -> bool:
        """Whether the end event arrived in time."""
        self._thread.join(deadline_s)
        return self.has_ended

    def close(self) -> None:
        self._closing.set()

    def _follow(self) -> None:
        with httpx.Client(timeout=20, headers={"Authorization": f"Bearer {TOKEN}"}, verify=False) as client:
            while not self.has_ended and not self._closing.is_set():
                try:
                    self._connect(client)
                except httpx.TransportError:
                    self._closing.wait(0.2)  # the browser's pause before it reconnects

    def _connect(self, client: httpx.Client) -> None:
        headers = {"Last-Event-ID": str(self.events[-1]["seq"])} if self.events else {}
        with client.stream("GET", self._address, headers=headers) as answer:
            if answer.is_error:
                self._closing.wait(0.2)
                return
            self.connections += 1
            here, is_end = 0, False
            for line in answer.iter_lines():
                if self._closing.is_set():
                    return
                if line == "event: end":
                    is_end = True
                elif line.startswith("data: "):
                    with self._news:
                        if is_end:
                            # A stopped or failed run may be resumed: an open page then continues.
                            self.has_ended = json.loads(line[6:])["status"] in ("done", "deleted")
                        else:
                            self.events.append(json.loads(line[6:]))
                        self._news.notify_all()
                    here += 1
                    if is_end or here == self._leave_after:
                        break
        if not self.has_ended:
            self._closing.wait(0.05)
