"""The socket that the server listens on."""

import asyncio
import socket

from rankscope.serve import bound_socket


def test_small_responses_are_not_delayed() -> None:
    """Without TCP_NODELAY, a response in two parts waits for the client's acknowledgement, which takes 40 ms."""

    async def is_without_delay() -> bool:
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted: socket.socket = writer.get_extra_info("socket")
            told.set_result(bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        with bound_socket("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(answer, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                found = await told
                writer.close()
        return found

    assert asyncio.run(is_without_delay())
