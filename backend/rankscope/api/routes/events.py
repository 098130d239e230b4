"""Events of a run: in pages, and as a live stream of the same objects."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from rankscope.api.compression import accepts_gzip, gzipped
from rankscope.api.deps import EngineDep, FeedsDep, ResourcesDep, RunId
from rankscope.api.guard.access import needs
from rankscope.api.shapes.history import EventPage
from rankscope.contract.events import EventKind
from rankscope.store.database.engine import reading
from rankscope.store.history import events

router = APIRouter(prefix="/runs/{run_id}/events", tags=["events"])

_MAX_CHARACTERS = 8_000_000

After = Annotated[int, Query(ge=0, le=2**53, description="Only events after this number.")]


class EventStream(StreamingResponse):
    """Closes its generator as soon as the viewer disconnects, so that a feed without viewers ends immediately."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncGenerator[bytes, None], *, is_gzipped: bool = False) -> None:
        # X-Accel-Buffering: nginx would otherwise buffer events.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept-Encoding"}
        if is_gzipped:
            headers["Content-Encoding"] = "gzip"
        super().__init__(gzipped(content) if is_gzipped else content, headers=headers)
        self._events = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events):
            await super().__call__(scope, receive, send)


@router.get("", response_model=EventPage)
@needs("read")
def list_events(
    run_id: RunId,
    engine: EngineDep,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=5000, description="Maximum number of events.")] = 1000,
    kinds: Annotated[
        list[EventKind] | None, Query(alias="kind", max_length=20, description="Only these kinds. Default: all.")
    ] = None,
) -> Response:
    """One page of events, in order; shorter than requested if the events are large."""
    with reading(engine) as session:
        last_seq = events.last_seq(session, run_id)
        page = events.texts_after(session, run_id, after, limit, kinds, max_characters=_MAX_CHARACTERS)
        has_more = bool(page) and bool(events.read_after(session, run_id, page[-1][0], 1, kinds))
    items = ",".join(text for _, text in page)
    # An EventPage assembled from the stored texts: decoding and encoding 8 MB would take most of a second.
    content = f'{{"items":[{items}],"last_seq":{last_seq},"has_more":{json.dumps(has_more)}}}'
    return Response(content, media_type="application/json")


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `id` is the event's seq, `data` the event as JSON. "
        "An `end` event with {status, last_seq} (`StreamEnd`) closes the stream of a run that has ended. With pulse=true "
        "a `pulse` event (`Pulse`) comes first and after each second without an event.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/stream", status_code=200, response_class=EventStream, responses=_STREAM)
@needs("read")
async def stream_events(
    run_id: RunId,
    engine: EngineDep,
    feeds: FeedsDep,
    resources: ResourcesDep,
    after: After = 0,
    pulse: Annotated[bool, Query(description="Also send pulses, as separate events.")] = False,
    last_event_id: Annotated[
        str | None, Header(description="Sent by browsers when they reconnect; overrides `after`.")
    ] = None,
    accept_encoding: Annotated[str, Header(include_in_schema=False)] = "",
) -> EventStream:
    """The run's events as they are recorded, after the given number."""
    if last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) < 17:
        after = int(last_event_id)

    def newest() -> int:
        with reading(engine) as session:
            return events.last_seq(session, run_id)

    # A number that is not assigned yet (after a restore of the database) would make the stream wait forever.
    after = min(after, await asyncio.to_thread(newest))
    signs = resources.page_build.pulse if pulse else None
    return EventStream(feeds.stream(run_id, after, signs), is_gzipped=accepts_gzip(accept_encoding))
