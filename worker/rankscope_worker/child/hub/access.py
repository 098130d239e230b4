"""Opens the configured hub with the token of the worker's environment, unless the installation is offline."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from rankscope.settings import Settings
from rankscope_worker.child.hub.client import OFFICIAL, HubClient, HubError
from rankscope_worker.child.hub.files import unreachable
from rankscope_worker.child.loading.causes import name_of

_TRUE = frozenset({"1", "on", "yes", "true"})


@contextmanager
def open_hub(settings: Settings) -> Iterator[HubClient]:
    """Raises HubError if the installation is offline, or if the hub can't be reached."""
    _check_online(settings)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # addresses of storage hosts contain signatures
    token = os.environ.get("RANKSCOPE_HF_TOKEN") or os.environ.get("HF_TOKEN") or None
    endpoint = settings.hub_endpoint or os.environ.get("HF_ENDPOINT") or OFFICIAL
    with HubClient(endpoint, token, settings.hub_storage_hosts) as hub:
        try:
            yield hub
        except httpx.HTTPError as error:
            raise unreachable(hub, error) from error


def explain(error: Exception) -> tuple[str, str]:
    """Returns the problem of a download and the next step."""
    if isinstance(error, HubError):
        return str(error), error.next_step
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk of the data folder is full.", "Free some space, then try again: it continues where it stopped."
    return (
        f"The download failed with an unexpected error: {name_of(error)}",
        "Try again. If it fails in the same way, report it with the end of the worker's log.",
    )


def _check_online(settings: Settings) -> None:
    name = "RANKSCOPE_HUB_OFFLINE" if settings.hub_offline else "HF_HUB_OFFLINE"
    if settings.hub_offline or os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE:
        raise HubError(
            f"{name} is set on the worker, so nothing is downloaded.",
            f"Unset {name} and start the worker again, or use files of this installation.",
        )
