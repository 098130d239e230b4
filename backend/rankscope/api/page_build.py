"""Detects which build of the page the server serves: an upgrade replaces the files while pages are open."""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

_ENTRY = re.compile(r'<script type="module"[^>]*\ssrc="([^"]+)"')


@dataclass
class PageBuild:
    """The build of the page in `static_dir`."""

    static_dir: Path
    _read: tuple[int, int] | None = None
    _entry: str | None = field(default=None, init=False)

    def entry(self) -> str | None:
        """The entry script's address. Reads index.html again after it has changed, as an upgrade replaces it."""
        index = self.static_dir / "index.html"
        try:
            state = index.stat()
            version = (state.st_mtime_ns, state.st_size)
            if version != self._read:
                found = _ENTRY.search(index.read_text(encoding="utf-8"))
                self._entry, self._read = (found.group(1) if found else None), version
        except (OSError, UnicodeDecodeError):
            return None
        return self._entry

    def pulse(self) -> bytes:
        """A pulse as a server-sent event. EventSource hides comments from the page, so it has a name and data."""
        data = json.dumps({"time": round(time.time(), 2), "page": self.entry()}, separators=(",", ":"))
        return f"event: pulse\ndata: {data}\n\n".encode()
