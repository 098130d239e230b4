"""Hints over Redis: "run X has events up to N". Losing one costs a reader at most its poll interval, never data."""

import contextlib
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

CHANNEL_PREFIX = "rankscope:bell:"


def channel(run_id: str) -> str:
    return f"{CHANNEL_PREFIX}{run_id}"


class Doorbell:
    """Rings after a commit. Never raises and never waits long: time-outs of 0.2 s, no retries.

    After a failure it stays silent for `pause_s`, so that a dead broker cannot slow a trainer down at every batch.
    """

    def __init__(self, broker_url: str, pause_s: float = 5.0) -> None:
        self._redis = redis.Redis.from_url(
            broker_url, socket_timeout=0.2, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0)
        )
        self._pause_s = pause_s
        self._silent_until = 0.0

    def ring(self, run_id: str, seq: int) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            self._redis.publish(channel(run_id), seq)
        except (redis.RedisError, OSError):
            self._silent_until = time.monotonic() + self._pause_s

    def ping(self) -> bool:
        """Whether the broker answers, within 0.2 s."""
        try:
            self._redis.ping()
        except (redis.RedisError, OSError):
            return False
        return True

    def close(self) -> None:
        with contextlib.suppress(redis.RedisError, OSError):
            self._redis.close()
