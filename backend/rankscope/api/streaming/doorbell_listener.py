"""Listens for doorbell messages with one connection per process. Without it, the feeds poll every two seconds."""

import asyncio
import logging

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from rankscope.api.streaming.live import Feeds
from rankscope.store.doorbell import CHANNEL_PREFIX

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


async def listen(broker_url: str, feeds: Feeds) -> None:
    """Rings the feeds until cancelled; reconnects quietly, at growing intervals."""
    client = redis.asyncio.Redis.from_url(
        broker_url, socket_connect_timeout=0.5, socket_keepalive=True, retry=Retry(NoBackoff(), 0)
    )
    pause_s = _FIRST_PAUSE_S
    try:
        while True:
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as doorbells:
                    await doorbells.psubscribe(f"{CHANNEL_PREFIX}*")
                    pause_s = _FIRST_PAUSE_S
                    feeds.ring()  # what was missed while disconnected
                    async for message in doorbells.listen():
                        feeds.ring(message["channel"].decode().removeprefix(CHANNEL_PREFIX))
            except (RedisError, OSError) as error:
                logger.debug("The doorbell is unreachable: %s", error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    finally:
        await client.aclose()
