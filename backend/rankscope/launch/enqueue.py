"""Messages to workers, by Celery: "claim what you can do", without a payload. A lost one costs seconds, never a run."""

import logging

from celery import Celery
from kombu.exceptions import KombuError

logger = logging.getLogger(__name__)

QUEUE = "rankscope"
TASK = "rankscope.nudge"
_TIMEOUT_S = 0.5


class Nudger:
    """Sends messages. A broker that is down is logged and reported as False."""

    def __init__(self, broker_url: str) -> None:
        self._celery = Celery("rankscope.launch.enqueue", broker=broker_url, set_as_current=False)
        self._celery.conf.update(
            task_ignore_result=True,
            task_publish_retry=False,
            task_serializer="json",
            task_default_queue=QUEUE,
            broker_connection_timeout=_TIMEOUT_S,
            broker_transport_options={
                "socket_timeout": _TIMEOUT_S,
                "socket_connect_timeout": _TIMEOUT_S,
                "retry_on_timeout": False,
                # Without these two, kombu retries forever, at two-second intervals.
                "max_retries": 1,
                "interval_start": 0,
                "connect_retries_timeout": _TIMEOUT_S,
                "visibility_timeout": 7 * 24 * 3600,
            },
        )

    def nudge(self) -> bool:
        """Notifies one worker that there may be work. Returns True once the broker has the message."""
        try:
            # Use a new connection each time: messages are rare, and a pooled connection would be broken after a broker restart.
            with self._celery.connection_for_write() as connection:
                self._celery.send_task(TASK, queue=QUEUE, retry=False, ignore_result=True, connection=connection)
        except (KombuError, OSError) as error:
            logger.warning("No worker was notified: the broker is unreachable (%s).", error)
            return False
        return True

    def close(self) -> None:
        self._celery.close()
