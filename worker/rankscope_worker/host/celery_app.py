"""The Celery application: one task without arguments, which may be lost or duplicated without harm."""

import logging

from celery import Celery
from celery.signals import setup_logging
from kombu.entity import Queue
from kombu.exceptions import KombuError

from rankscope.settings import Settings

_log = logging.getLogger(__name__)

QUEUE = "rankscope"
NUDGE = "rankscope.nudge"
"""The task: "claim the runs that you can train". The database decides which ones."""


def own_queue(worker: str) -> str:
    """Returns the name of a queue that only this worker reads, with which it wakes itself when runs are waiting."""
    return f"{QUEUE}.{worker}"


def make_celery(settings: Settings, own: str | None = None) -> Celery:
    """Returns a Celery application without result backend, events or gossip.

    It uses no acknowledgement and no prefetch: with late acknowledgement, Redis's visibility timeout would run every task
    over an hour twice, an acknowledgement that a broken connection loses would keep the worker from taking another message,
    and prefetch duplicates a message in a busy worker. A lost message costs one heartbeat.

    `own`: the queue that only this worker reads.
    """
    app = Celery("rankscope", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 7 * 24 * 3600, "socket_connect_timeout": 2},
        task_acks_late=False,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_queues=[Queue(name, no_ack=True) for name in (QUEUE, own) if name],  # type: ignore[no-untyped-call]
        task_serializer="json",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return app


def keep_own_logging() -> None:
    """Prevents Celery from setting the log level, so that the worker's lines are written, and only warnings of Celery."""
    setup_logging.connect(_set_up_nothing)
    for name in ("celery", "kombu"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _set_up_nothing(**_options: object) -> None:
    """Celery configures the root logger unless this signal has a receiver."""


class Nudger:
    """Sends nudges with a short timeout: by default kombu would try to connect forever."""

    def __init__(self, settings: Settings, queue: str = QUEUE, timeout_s: float = 0.5) -> None:
        self._queue = queue
        self._app = make_celery(settings)
        self._app.conf.update(
            broker_connection_timeout=timeout_s,
            broker_transport_options={
                "socket_timeout": timeout_s,
                "socket_connect_timeout": timeout_s,
                "retry_on_timeout": False,
                "max_retries": 1,
                "interval_start": 0,
                "connect_retries_timeout": timeout_s,
                "visibility_timeout": 7 * 24 * 3600,
            },
        )

    def nudge(self) -> None:
        """Sends one nudge. If the broker is unreachable, that is logged and ignored: the next heartbeat tries again."""
        try:
            self._app.send_task(NUDGE, queue=self._queue, retry=False, ignore_result=True)
        except (KombuError, OSError) as error:
            _log.warning("The broker does not respond, so waiting runs start later: %s", error)
