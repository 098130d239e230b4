"""Cursors: the last row of a page, as text that only this API reads."""

import base64
import binascii
import json
import math

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.store.listing.fields import Field

Key = str | int | float | None
"""A row's value in the sorted column."""

LONGEST = 4000


def encode(sort: str, key: Key, run_id: str) -> str:
    text = json.dumps([sort, key, run_id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, sort: str, field: Field) -> tuple[Key, str]:
    """The last row's key and id. Raises BadInput for a cursor that this API did not issue, or issued for another order."""
    try:
        if len(cursor) > LONGEST:
            raise ValueError("too long")
        own_sort, key, run_id = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        if not isinstance(own_sort, str) or not is_storable(run_id):
            raise ValueError("odd parts")
        if own_sort == sort and not _is_key(key, field):
            raise ValueError("odd key")
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        message = f"is {cursor[:50]!r}, which is not a cursor of this API"
        raise BadInput([FieldProblem("cursor", cursor[:200], message, "Send next_cursor unchanged.")]) from error
    if own_sort != sort:
        message = f"belongs to a list sorted by {own_sort[:100]!r}, not by {sort!r}"
        raise BadInput(
            [FieldProblem("cursor", cursor, message, "Start without a cursor after changing the sort order.")]
        )
    return key, run_id


def _is_key(key: object, field: Field) -> bool:
    if key is None:
        return True
    if isinstance(key, bool):
        return False
    if field.kind == "integer" and field.config_path is None:
        return isinstance(key, int) and abs(key) < 2**31
    if field.is_numeric or field.kind == "boolean":
        return isinstance(key, float) and math.isfinite(key)
    return is_storable(key)


def is_storable(text: object) -> bool:
    """Whether both databases can compare with this text: no NUL, no lone surrogates."""
    return isinstance(text, str) and "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
