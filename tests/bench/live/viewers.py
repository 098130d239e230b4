"""`python -m tests.bench.live.viewers PORT RUN COUNT SECONDS`: COUNT viewers of a run's stream, in one process.

Prints one JSON line: milliseconds from `sent` (a value of metrics events: seconds since 1970) to the client, bytes of the
first viewer, and how many events each viewer saw.
"""

import asyncio
import json
import sys
import time
import zlib

from tests.stack import TOKEN


class Viewer:
    """An HTTP/1.1 client of the event stream that takes gzip, as a browser does, and reads each event's time."""

    def __init__(self) -> None:
        self.bytes = 0
        """Bytes on the wire, without the framing of chunks."""
        self.events = 0
        self.delays_ms: list[float] = []
        self._unpacked = b""

    async def watch(self, port: int, run: str, is_open: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        path = f"/api/v1/runs/{run}/events/stream?after=0"
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        writer.write(f"{head}Accept: text/event-stream\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in answer or b"content-encoding: gzip" not in answer:
            raise RuntimeError(f"The stream answered {answer!r}.")
        is_open.set()
        unpacker = zlib.decompressobj(31)
        while size := int(await reader.readline(), 16):
            packed = (await reader.readexactly(size + 2))[:-2]
            self.bytes += size
            self._take(unpacker.decompress(packed))

    def _take(self, text: bytes) -> None:
        now = time.time()
        *lines, self._unpacked = (self._unpacked + text).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            self.events += 1
            at = line.find(b'"sent":')
            if at != -1:
                number = line[at + 7 :].split(b",", 1)[0].split(b"}", 1)[0]
                self.delays_ms.append(1000 * (now - float(number)))


async def main(port: int, run: str, count: int, seconds: float) -> None:
    viewers = [Viewer() for _ in range(count)]
    opened = [asyncio.Event() for _ in viewers]
    tasks = [
        asyncio.create_task(viewer.watch(port, run, is_open)) for viewer, is_open in zip(viewers, opened, strict=True)
    ]
    await asyncio.gather(*(is_open.wait() for is_open in opened))
    print("open", flush=True)
    _, pending = await asyncio.wait(tasks, timeout=seconds)
    if len(pending) < count:
        raise RuntimeError("A viewer's stream ended too early.")
    for task in tasks:
        task.cancel()
    delays = [delay for viewer in viewers for delay in viewer.delays_ms]
    print(
        json.dumps({"delays_ms": delays, "bytes": viewers[0].bytes, "events": [viewer.events for viewer in viewers]}),
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
