"""An event as text: written once, by pydantic, and sent to readers unchanged.

The text has the event's own fields. Fields that queries need (`seq`, `attempt`, `time`, `kind`, `step`) have columns, and are
put before the text when it is sent. Rows of earlier versions were written by another encoder, with other spaces and escapes;
they are also JSON and sent unchanged.
"""

import json
import re
from collections.abc import Callable
from typing import NamedTuple, cast

from rankscope.contract.events import RunEvent, StoredEvent
from rankscope.contract.stored import Payload
from rankscope.contract.tables import Event

IN_COLUMNS = frozenset({"kind", "step"})
"""Fields that are not in the text."""


class EventRow(NamedTuple):
    """The columns of an event that readers see."""

    seq: int
    attempt: int
    time: float
    kind: str
    step: int | None
    payload: str | None


def write(event: RunEvent) -> str | None:
    """Returns the event's own fields as JSON, without those that are None; None if there are no others."""
    # Use the model's method: a TypeAdapter would ignore its setting for NaN and infinity and write null.
    # Don't use exclude_none: it also applies inside lists, where null has a meaning.
    absent = {name for name in type(event).model_fields if getattr(event, name) is None}
    text = event.model_dump_json(exclude=absent.union(IN_COLUMNS))
    return None if text == "{}" else text


def read(payload: str | None) -> Payload:
    """The event's own fields."""
    fields: Payload = {} if payload is None else json.loads(payload)
    return fields


def metric_reader(name: str) -> Callable[[str], float | None]:
    """A function from the text of a `metrics` event to its value of one metric; None without it.

    Reads only this value, in a fraction of the time that parsing takes. A text in which it isn't found as `write` writes it
    is parsed.
    """
    key = re.compile(r"[{,]" + re.escape(json.dumps(name, ensure_ascii=False)) + r':("?)([-+.\w]+)\1[,}]')

    def value(payload: str) -> float | None:
        found = key.search(payload)
        if found:
            return float(found[2])
        recorded = cast(dict[str, float | str], read(payload)["values"]).get(name)
        return None if recorded is None else float(recorded)

    return value


def stored(row: EventRow | Event) -> StoredEvent:
    """The event as readers see it."""
    event: StoredEvent = {"seq": row.seq, "attempt": row.attempt, "time": row.time, "kind": row.kind}
    if row.step is not None:
        event["step"] = row.step
    return event | read(row.payload)


def sent(row: EventRow) -> str:
    """Returns the event as readers see it, as one line of JSON: the columns followed by the stored text."""
    step = "" if row.step is None else f',"step":{row.step}'
    columns = f'{{"seq":{row.seq},"attempt":{row.attempt},"time":{row.time!r},"kind":{json.dumps(row.kind)}{step}'
    if row.payload is None:
        return f"{columns}}}"
    # Our encoders never write line breaks. Text from elsewhere must not end an event in the middle of the stream.
    has_breaks = "\n" in row.payload or "\r" in row.payload
    text = json.dumps(read(row.payload)) if has_breaks else row.payload
    return f"{columns},{text[1:]}"
