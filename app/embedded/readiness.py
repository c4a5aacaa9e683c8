"""Whether a server answers: one short look, on loopback, that never raises."""

import asyncio
import struct

from app.embedded.directory import HOST

_LOOK_SECONDS = 2.0


async def http_status(port: int, path: str, *, host: str = HOST) -> int:
    """The status of a GET, or 0 when there is no answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    line = await _exchange(host, port, request.encode(), until=b"\r\n")
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


async def kafka_answers(port: int) -> bool:
    """Whether a broker answers the question which versions it speaks (ApiVersions, version 0)."""
    correlation = 7061980
    header = struct.pack(">hhih", 18, 0, correlation, -1)
    answer = await _exchange(HOST, port, struct.pack(">i", len(header)) + header, size=8)
    return len(answer) == 8 and struct.unpack(">i", answer[4:])[0] == correlation


async def _exchange(
    host: str, port: int, question: bytes, *, until: bytes = b"", size: int = 0
) -> bytes:
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(question)
                return await (reader.readuntil(until) if until else reader.readexactly(size))
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return b""
