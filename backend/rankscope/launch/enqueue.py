"""Messages to workers, by Celery: "claim what you can do", without content, and "answer this question".

Losing a nudge costs seconds, never a run; a lost question is asked again by whoever wants the answer.
"""

import logging
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError

from rankscope.store.predictions import KEPT_S

logger = logging.getLogger(__name__)

QUEUE = "rankscope"
TASK = "rankscope.nudge"
PREDICTIONS_QUEUE = "rankscope.predictions"
PREDICT_TASK = "rankscope.predict"
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
                # Without these two, kombu tries to connect for ever, at two-second intervals.
                "max_retries": 1,
                "interval_start": 0,
                "connect_retries_timeout": _TIMEOUT_S,
                "visibility_timeout": 7 * 24 * 3600,
            },
        )

    def nudge(self) -> bool:
        """Tells one worker that there may be work. True once the broker has the message."""
        return self._send(TASK, queue=QUEUE)

    def predict(self, run_id: str, prediction_id: str) -> bool:
        """Hands a question that stands on the board to one worker. True once the broker has the message."""
        return self._send(PREDICT_TASK, queue=PREDICTIONS_QUEUE, args=[run_id, prediction_id], expires=KEPT_S)

    def _send(self, task: str, **options: Any) -> bool:
        try:
            # A connection for each: messages are rare, and a pooled one would be found dead after a broker's restart.
            with self._celery.connection_for_write() as connection:
                self._celery.send_task(task, retry=False, ignore_result=True, connection=connection, **options)
        except (KombuError, OSError) as error:
            logger.warning("No worker could be reached: the broker is out of reach (%s).", error)
            return False
        return True

    def close(self) -> None:
        self._celery.close()
