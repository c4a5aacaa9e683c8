"""`tariff local`, as a user runs it: one command, Ctrl-C, and everything again the next time."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import asyncpg
import psutil

from app.config import Settings
from app.embedded.stack import beside
from tests.processes import data_directory, free_port

ROOT = Path(__file__).parent.parent.parent


async def start(directory, *options):
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TARIFF_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "local", "--data-dir", str(directory), *options),
        cwd=ROOT,
        env=environ | {"TARIFF_CONFIG": os.devnull},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def until_it_says(stream, text):
    async with asyncio.timeout(120):
        said = ""
        while text not in said:
            line = (await stream.readline()).decode()
            assert line, f"it ended: {said}"
            said += line
    return said


async def interrupt(process):
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def until_ready(port):
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def in_postgres(settings, statement):
    connection = await asyncpg.connect(settings.postgres.owner_url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def mode_of(process):
    words = process.cmdline()
    return words[words.index("app") + 1] if "app" in words else None


async def test_everything_runs_restarts_stops_and_is_found_again():
    port = free_port()
    with data_directory() as directory:
        first = await start(directory, "--port", str(port))
        await until_it_says(first.stderr, "Ctrl-C stops it")
        children = psutil.Process(first.pid).children(recursive=True)
        modes = {mode_of(child): child for child in children}
        assert {"api", "consumer", "temporal_worker"} <= set(modes)
        await until_ready(port)
        modes["api"].kill()
        modes["api"].wait()
        await until_ready(port)
        settings = beside(Settings(), directory)
        assert settings.server.port == port
        assert settings.server.public_url == f"http://127.0.0.1:{port}"
        await in_postgres(settings, "CREATE TABLE mark AS SELECT 7 AS n")
        started = psutil.Process(first.pid).children(recursive=True)
        await interrupt(first)
        assert not [child for child in started if child.is_running()]

        second = await start(directory, "--servers-only")
        exports = await until_it_says(second.stdout, "TARIFF_TEMPORAL_UI_URL")
        assert f"export TARIFF_POSTGRES_URL='{settings.postgres.url}'" in exports
        assert await in_postgres(settings, "SELECT n FROM mark") == 7
        assert beside(Settings(), directory).server == Settings().server  # it has no API
        await interrupt(second)


async def test_a_port_that_is_taken_is_named_before_anything_starts():
    with data_directory() as directory:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            refused = await start(directory, "--port", str(port))
            _, errors = await refused.communicate()
        assert refused.returncode == 1
        assert f"the API cannot listen on 127.0.0.1 port {port}" in errors.decode()
        assert "--port" in errors.decode()
        assert list(directory.iterdir()) == []
