"""Rejects a JSON body in which an object has a key twice, because parsers silently keep the last value, or too many keys."""

import json
from collections import Counter
from typing import Any

from fastapi import Request

from rankscope.contract.errors import BadInput, FieldProblem

MOST_KEYS = 10_000
"""Of an object. An error for each of 50,000 unknown fields would keep the server busy for a sixth of a second."""


async def check_object_keys(request: Request) -> None:
    """A dependency of every API route; BadInput says which key. FastAPI has parsed the body by then, so it is valid JSON."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return  # only the route may read the stream of an upload
    body = await request.body()
    try:
        path = repeated_key(body) if body else None
    except _TooManyKeys as error:
        message = f"has an object with {error.number:,} fields; at most {MOST_KEYS:,} are accepted"
        raise BadInput([FieldProblem("body", None, message, "Send fewer fields.")]) from None
    if path is not None:
        raise BadInput([FieldProblem(path, None, "appears more than once", "Send the field once.")])


class _Repeating(dict[str, object]):
    """Raised for an object with a repeated key."""

    key: str


class _TooManyKeys(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def repeated_key(body: bytes) -> str | None:
    """Returns the dotted path of the first repeated key, for example `config.training.max_steps`. Raises _TooManyKeys."""
    found: list[_Repeating] = []

    def as_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(pairs) > MOST_KEYS:
            raise _TooManyKeys(len(pairs))
        fields = dict(pairs)
        if len(fields) == len(pairs):
            return fields
        marked = _Repeating(fields)
        times = Counter(name for name, _ in pairs)
        marked.key = next(name for name in times if times[name] > 1)
        found.append(marked)
        return marked

    try:
        top = json.loads(body, object_pairs_hook=as_object)
    except (ValueError, RecursionError):
        return None
    return ".".join(_path_to_repeating(top)) if found else None


def _path_to_repeating(top: Any) -> list[str]:
    """Returns the path of the outermost object with a repeated key. It is always reachable: only repeated keys hide values."""
    waiting: list[tuple[Any, list[str]]] = [(top, [])]
    for value, path in waiting:  # breadth first
        if isinstance(value, _Repeating):
            return [*path, value.key]
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [(part, [*path, str(name)]) for name, part in parts]
    return []
