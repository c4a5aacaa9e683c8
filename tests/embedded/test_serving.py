"""Servers of ours end when they are told to, however often that is."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from tests.processes import free_port

ROOT = Path(__file__).parents[2]
_SERVER = """
import sys
from app.embedded.serving import serve

async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})

serve(answer, host="127.0.0.1", port=int(sys.argv[1]))
print("closed", flush=True)
"""


async def test_signals_in_quick_succession_end_a_server():
    """As when its supervisor stops it and dies, which tells it once more."""
    dice = random.Random(6)  # noqa: S311 - the same pauses every time
    ended = await asyncio.gather(*(_told_often(dice) for _ in range(6)))
    assert ended == [b"closed\n"] * 6


async def _told_often(dice):
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SERVER, str(port)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            while not await _answers(port):  # noqa: ASYNC110 - there is no event of it
                await asyncio.sleep(0.05)
            # So many as come before it has closed; one that came later would end it at once.
            for _ in range(12):
                os.kill(server.pid, signal.SIGTERM)
                await asyncio.sleep(dice.uniform(0, 0.0004))
            told, _ = await server.communicate()
    finally:
        if server.returncode is None:
            server.kill()
    return told


async def _answers(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
