"""Steering requests from the supervisor to the training process: one JSON object per line on its standard input."""

import json
import logging
from collections import deque
from dataclasses import asdict, dataclass

from rankscope.contract.config import SteerAction

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SteerRequest:
    id: str
    action: SteerAction
    target_rank: int | None = None

    def as_line(self) -> bytes:
        """Returns the request as a line of JSON."""
        return json.dumps({"steer": asdict(self)}).encode() + b"\n"


class SteerRequestQueue:
    """Filled by the thread that reads standard input, drained by the training thread."""

    def __init__(self) -> None:
        self._requests: deque[SteerRequest] = deque()
        self._seen: set[str] = set()
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Adds bytes as they arrive; a line may be split anywhere. Repeated requests are ignored."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                request = SteerRequest(**json.loads(line)["steer"])
            except (ValueError, KeyError, TypeError):
                _log.warning("Ignoring an invalid line from the supervisor: %r", line[:200])
                continue
            if request.id not in self._seen:
                self._seen.add(request.id)
                self._requests.append(request)

    def take(self) -> list[SteerRequest]:
        """Returns and removes the requests since the last call, in order."""
        taken = []
        while self._requests:
            taken.append(self._requests.popleft())
        return taken
