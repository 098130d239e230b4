"""Pulse: shows an open page that the server is alive, with the server's clock and the build of the page that it serves."""

import time

from fastapi import APIRouter

from rankscope.api.deps import ResourcesDep
from rankscope.api.guard.access import needs
from rankscope.api.shapes.base import Shape

router = APIRouter(prefix="/system", tags=["system"])


class Pulse(Shape):
    time: float
    """The server's clock: seconds since 1970, UTC."""
    page: str | None
    """Entry script of the page that the server currently serves; its name contains a hash. Null if no page was built."""


@router.get("/pulse")
@needs("read")
async def get_pulse(resources: ResourcesDep) -> Pulse:
    """Responds immediately while the server's event loop runs; uses neither the database nor the broker."""
    return Pulse(time=time.time(), page=resources.page_build.entry())
