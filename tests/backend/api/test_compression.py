"""Compressed streams: every part can be read on arrival, and clients get plain text unless they request gzip."""

import asyncio
import zlib
from collections.abc import AsyncGenerator

import httpx
import pytest

from rankscope.api.compression import accepts_gzip, gzipped
from tests.backend.api.streaming.test_live import engine_of
from tests.backend.conftest import Server
from tests.backend.store_setup import append, losses, training_run
from tests.stack import TOKEN


@pytest.mark.parametrize(
    ("header", "is_accepted"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("", False),
    ],
)
def test_gzip_is_used_if_the_client_accepts_it(header: str, is_accepted: bool) -> None:
    assert accepts_gzip(header) is is_accepted


def test_each_part_can_be_decompressed_immediately_and_repetitions_are_small() -> None:
    parts = [f'data: {{"kind": "metrics", "train_loss": {index / 7}}}\n\n'.encode() for index in range(200)]

    async def source() -> AsyncGenerator[bytes]:
        for part in parts:
            yield part

    async def collect() -> list[bytes]:
        return [part async for part in gzipped(source())]

    packed = asyncio.run(collect())
    reader = zlib.decompressobj(31)
    for part, arrived in zip(parts, packed[:-1], strict=True):
        assert reader.decompress(arrived) == part
    assert reader.decompress(packed[-1]) == b""
    assert reader.eof
    assert sum(map(len, packed)) < sum(map(len, parts)) / 1.5


def test_the_source_ends_when_the_reader_leaves() -> None:
    ended: list[bool] = []

    async def source() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"part"
        finally:
            ended.append(True)

    async def leave() -> None:
        stream = gzipped(source())
        await anext(aiter(stream))
        await stream.aclose()

    asyncio.run(leave())
    assert ended == [True]


def test_a_live_stream_is_compressed_only_for_those_who_ask(server: Server) -> None:
    with engine_of(server.settings) as engine:
        claimed = training_run(engine)
        append(engine, claimed, losses(*range(50)))
    url = f"{server.url}/api/v1/runs/{claimed.run_id}/events/stream?after=0"

    def first_bytes(encoding: str) -> tuple[str | None, bytes]:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": encoding}
        with httpx.stream("GET", url, headers=headers, timeout=20) as answer:
            return answer.headers.get("content-encoding"), next(answer.iter_raw())

    assert first_bytes("identity") == (None, b"retry: 1000\n\n")
    encoding, packed = first_bytes("gzip")
    assert encoding == "gzip"
    assert zlib.decompressobj(31).decompress(packed) == b"retry: 1000\n\n"
