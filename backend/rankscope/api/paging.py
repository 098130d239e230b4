"""Cursors: opaque to the client, an offset inside."""

import base64
import binascii

from rankscope.contract.errors import BadInput, FieldProblem

_PREFIX = b"rows:"


def encode_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(_PREFIX + str(offset).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> int:
    """The offset; BadInput for anything that this API did not make."""
    if cursor is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        offset = int(text.removeprefix(_PREFIX))
    except (ValueError, binascii.Error):
        offset = -1
    if not 0 <= offset < 2**31 or encode_cursor(offset) != cursor:
        raise BadInput(
            [
                FieldProblem(
                    "cursor", cursor, f"is {cursor!r}, which is no cursor of this API", "Send next_cursor as it came."
                )
            ]
        )
    return offset
