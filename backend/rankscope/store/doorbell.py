"""Hints over Redis: "run X has events up to N", "a job is waiting". A lost hint delays a reader by at most its poll interval."""

import contextlib
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

CHANNEL_PREFIX = "rankscope:bell:"
JOBS_CHANNEL = "rankscope:jobs"


def channel(run_id: str) -> str:
    return f"{CHANNEL_PREFIX}{run_id}"


class Doorbell:
    """Rings after a commit. Never raises and never blocks for long: timeouts of 0.2 s, no retries.

    After a failure it stays silent for `pause_s`, so that an unreachable broker does not slow training down at every batch.
    """

    def __init__(self, broker_url: str, pause_s: float = 5.0) -> None:
        self._redis = redis.Redis.from_url(
            broker_url, socket_timeout=0.2, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0)
        )
        self._pause_s = pause_s
        self._silent_until = 0.0

    def ring(self, run_id: str, seq: int) -> None:
        self._publish(channel(run_id), seq)

    def ring_for_job(self) -> None:
        """Notifies the workers that a job is waiting."""
        self._publish(JOBS_CHANNEL, 1)

    def _publish(self, name: str, message: int) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            self._redis.publish(name, message)
        except (redis.RedisError, OSError):
            self._silent_until = time.monotonic() + self._pause_s

    def ping(self) -> bool:
        """Whether the broker responds within 0.2 s."""
        try:
            self._redis.ping()
        except (redis.RedisError, OSError):
            return False
        return True

    def close(self) -> None:
        with contextlib.suppress(redis.RedisError, OSError):
            self._redis.close()


class JobBell:
    """Waits for `Doorbell.ring_for_job`. Without a broker, it waits for the full timeout."""

    def __init__(self, broker_url: str) -> None:
        self._redis = redis.Redis.from_url(
            broker_url, socket_timeout=1.0, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0)
        )
        self._subscribed: redis.client.PubSub | None = None

    def listen(self) -> None:
        """Subscribes, so that rings from now on end the next `wait`."""
        if self._subscribed is not None:
            return
        subscribed = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        try:
            subscribed.subscribe(JOBS_CHANNEL)
        except (redis.RedisError, OSError):
            return
        self._subscribed = subscribed

    def wait(self, timeout_s: float) -> bool:
        """Waits until it rings, at most `timeout_s` seconds. Returns whether it rang."""
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            if self._subscribed is None:
                time.sleep(left)
                return False
            try:
                if self._subscribed.get_message(timeout=left) is not None:
                    return True
            except (redis.RedisError, OSError):
                self._forget()
        return False

    def _forget(self) -> None:
        subscribed, self._subscribed = self._subscribed, None
        if subscribed is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                subscribed.close()

    def close(self) -> None:
        self._forget()
        with contextlib.suppress(redis.RedisError, OSError):
            self._redis.close()
