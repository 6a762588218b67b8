"""Passes bytes through in both directions, and nothing else: the gateway that can't do anything wrong.

python -m parity.gateways.passthrough PORT HOST:PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end; a connection that is reset on one side is reset on the other."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except ConnectionError:
        raw = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def serve(port: int, host: str, far_port: int) -> None:
    """Accept on loopback, and connect each client to the far end."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, far_port)
        except OSError:
            writer.close()
            return
        up = asyncio.ensure_future(_copy(reader, far_writer))
        down = asyncio.ensure_future(_copy(far_reader, writer))
        # Whoever ends first: an answer that is over ends its connection, a client that leaves ends the call.
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if down.done():
            up.cancel()
        else:
            down.cancel()
        for one in (writer, far_writer):
            one.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await one.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    far, _, number = sys.argv[2].rpartition(":")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), far, int(number)))
