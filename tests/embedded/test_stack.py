"""The supervisor: what it starts, restarts, refuses, and finds again after a crash."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import asyncpg
import msgspec
import psutil
import pytest
from temporalio.client import Client

from app.config import Settings
from app.embedded import leftovers
from app.embedded.directory import Recorded, held
from app.embedded.environment import as_variables, of_a_service
from app.embedded.errors import DamagedState, ServerFailed
from app.embedded.located import located
from app.embedded.locks import InUse
from app.embedded.stack import beside, running_stack
from app.embedded.supervised import Program, Supervised
from app.infra.clickhouse import open_clickhouse
from app.infra.s3 import open_storage
from app.kernel.errors import Unavailable
from tests.processes import data_directory, free_port

ROOT = Path(__file__).parent.parent.parent
SERVERS = {"postgres", "clickhouse", "kafka", "s3", "temporal"}


class Count(msgspec.Struct, array_like=True):
    value: int


async def owner(settings):
    return await asyncpg.connect(settings.postgres.owner_url)


async def until(look, seconds=20.0):
    """What `look` answers once it no longer fails."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await asyncio.wait_for(look(), 5)
        except (OSError, TimeoutError, asyncpg.PostgresError, RuntimeError, Unavailable):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def leave_marks(settings, mark):
    """Put something into every server that must still be there later."""
    connection = await owner(settings)
    await connection.execute(f"CREATE TABLE {mark} AS SELECT 7 AS n")
    await connection.close()
    async with open_clickhouse(settings.clickhouse, database="default") as clickhouse:
        await clickhouse.execute(f"CREATE TABLE {mark} (n UInt8) ENGINE = MergeTree ORDER BY n")
        await clickhouse.insert(mark, b'{"n":7}')
    async with open_storage(settings.s3) as storage:
        await storage.put(mark, b"7", "text/plain")
    client = await Client.connect(settings.temporal.address)
    await client.start_workflow("nothing", id=mark, task_queue="nobody")


async def assert_marks(settings, mark):
    async def in_postgres():
        connection = await owner(settings)
        try:
            return await connection.fetchval(f"SELECT n FROM {mark}")  # noqa: S608
        finally:
            await connection.close()

    async def in_clickhouse():
        async with open_clickhouse(settings.clickhouse, database="default") as clickhouse:
            return await clickhouse.select(f"SELECT n FROM {mark}", row=Count)  # noqa: S608

    async def in_s3():
        async with open_storage(settings.s3) as storage:
            return await storage.get(mark)

    async def in_temporal():
        client = await Client.connect(settings.temporal.address)
        return (await client.get_workflow_handle(mark).describe()).workflow_type

    assert await until(in_postgres) == 7
    assert await until(in_clickhouse) == [Count(7)]
    assert await until(in_s3) == b"7"
    assert await until(in_temporal) == "nothing"


class TestRunning:
    async def test_every_server_runs_and_listens_on_this_machine_only(self, stack):
        assert set(stack.pids) == SERVERS
        for name, pid in stack.pids.items():
            process = psutil.Process(pid)
            listening = [
                connection.laddr.ip
                for one in [process, *process.children(recursive=True)]
                for connection in one.net_connections()
                if connection.status == psutil.CONN_LISTEN
            ]
            assert set(listening) == {"127.0.0.1"}, name

    async def test_no_secret_is_on_a_command_line_or_in_a_file_for_others(self, stack):
        state = stack.directory.path / "state.json"
        assert state.stat().st_mode & 0o777 == 0o600
        secrets = set(json.loads(state.read_text())["secrets"].values())
        assert len(secrets) >= 8
        for pid in stack.pids.values():
            words = " ".join(psutil.Process(pid).cmdline())
            assert not [secret for secret in secrets if secret[:16] in words]

    async def test_the_application_owns_nothing_and_row_level_security_binds_it(self, stack):
        connection = await asyncpg.connect(stack.settings.postgres.url)
        try:
            role = await connection.fetchrow(
                "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication "
                "FROM pg_roles WHERE rolname = current_user"
            )
            assert set(role.values()) == {False}
            owned = "SELECT count(*) FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba "
            assert await connection.fetchval(owned + "WHERE rolname = current_user") == 0
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE TABLE mine (n int)")
        finally:
            await connection.close()

    async def test_a_wrong_password_opens_nothing(self, stack):
        url = stack.settings.postgres.url
        wrong = url.replace(url.split(":")[2].split("@")[0], "wrong")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(wrong)

    async def test_another_process_finds_it_by_its_variables(self, stack):
        assert stack.variables()["TARIFF_POSTGRES_URL"] == stack.settings.postgres.url
        assert stack.variables()["TARIFF_KAFKA_IDEMPOTENT"] == "false"
        script = (
            "import sys; from app.config import load; from app.embedded.environment import "
            "as_variables; import json; json.dump(as_variables(load()), sys.stdout)"
        )
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script),
            env=of_a_service(stack.settings),
            cwd="/",
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await done.communicate()
        assert json.loads(told) == as_variables(stack.settings)

    async def test_commands_beside_it_find_it_by_its_directory(self, stack, tmp_path):
        assert beside(Settings(), stack.directory.path) == stack.settings
        assert beside(Settings(), tmp_path / "nothing") == Settings()

    async def test_a_second_supervisor_is_refused(self, stack):
        with pytest.raises(InUse, match=f"in use by process {os.getpid()}"):
            async with running_stack(Settings(), stack.directory.path):
                pass
        assert set(stack.pids) == SERVERS


class TestDying:
    @pytest.mark.parametrize("name", sorted(SERVERS))
    async def test_a_killed_server_comes_back_with_its_data(self, stack, name):
        mark = f"killed_{name}"
        await leave_marks(stack.settings, mark)
        before = stack.pids[name]
        os.kill(before, signal.SIGKILL)

        async def new_process():
            if stack.pids.get(name, before) == before:
                raise Unavailable(name, "not started again yet")

        await until(new_process)
        await assert_marks(stack.settings, mark)

    async def test_a_service_is_restarted_and_sees_the_settings(self, stack):
        port = free_port()
        server = (
            "import http.server, os, sys\n"
            "class Answer(http.server.BaseHTTPRequestHandler):\n"
            "    def do_GET(self):\n"
            "        self.send_response(200); self.end_headers()\n"
            "        self.wfile.write(os.environ['TARIFF_KAFKA_BROKERS'].encode())\n"
            "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Answer).serve_forever()\n"
        )
        url = f"http://127.0.0.1:{port}/ready"
        await stack.run_service("echo", (sys.executable, "-c", server, str(port)), ready_url=url)

        async def ask():
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return await answer.text()

        assert [await ask()] == stack.settings.kafka.brokers
        os.kill(stack.pids["echo"], signal.SIGKILL)
        assert [await until(ask)] == stack.settings.kafka.brokers


class TestStarting:
    async def test_what_is_configured_elsewhere_is_not_started(self, stack):
        elsewhere = msgspec.structs.replace(
            stack.settings, clickhouse=Settings().clickhouse, s3=Settings().s3
        )
        with data_directory() as directory:
            async with running_stack(elsewhere, directory) as other:
                assert set(other.pids) == {"clickhouse", "s3"}
                assert other.settings.postgres == stack.settings.postgres
                assert other.settings.clickhouse != stack.settings.clickhouse
                assert set(other.variables()) == {
                    "TARIFF_CLICKHOUSE_PASSWORD",
                    "TARIFF_CLICKHOUSE_URL",
                    "TARIFF_S3_ACCESS_KEY",
                    "TARIFF_S3_ENDPOINT_URL",
                    "TARIFF_S3_SECRET_KEY",
                }
                pids = list(other.pids.values())
            assert not [pid for pid in pids if psutil.pid_exists(pid)]

    async def test_a_server_that_cannot_start_says_why(self, tmp_path):
        async def never():
            return False

        with held(tmp_path) as directory:
            program = Program(
                name="broken",
                argv=(sys.executable, "-c", "print('the disk is on fire'); raise SystemExit(3)"),
                ready=never,
                environ={},
            )
            with pytest.raises(ServerFailed) as failed:
                await Supervised(program, directory, lambda *_: None).start()
            assert directory.processes == {}
        assert "ended with status 3" in failed.value.message
        assert "the disk is on fire" in failed.value.message

    async def test_a_server_that_never_gets_ready_is_given_up(self, tmp_path):
        async def never():
            return False

        with held(tmp_path) as directory:
            program = Program(
                name="slow",
                argv=(sys.executable, "-c", "import time; time.sleep(60)"),
                ready=never,
                environ={},
                ready_seconds=0.3,
            )
            slow = Supervised(program, directory, lambda *_: None)
            with pytest.raises(ServerFailed, match=r"slow was not ready within 0\.3 s"):
                await slow.start()
            assert slow.pid is None

    async def test_a_port_that_something_else_took_is_replaced(self, tmp_path):
        with held(tmp_path) as directory:
            first = directory.port("a")
        with held(tmp_path) as directory:
            assert directory.port("a") == first
        with (
            socket.create_server(("127.0.0.1", first)),
            held(tmp_path) as directory,
        ):
            second = directory.port("a")
            assert second != first
            assert directory.port("a") == second

    async def test_secrets_are_drawn_once_for_each_directory(self, tmp_path):
        with held(tmp_path / "one") as one, held(tmp_path / "two") as two:
            settings = located(Settings(), one)
            assert settings != located(Settings(), two)
        with held(tmp_path / "one") as again:
            for section in ("auth", "secrets", "s3"):
                assert getattr(located(Settings(), again), section) == getattr(settings, section)
        assert settings.auth.jwt_secret != Settings().auth.jwt_secret

    async def test_a_damaged_state_is_not_overwritten(self, tmp_path):
        (tmp_path / "state.json").write_text("{")
        with pytest.raises(DamagedState, match=r"state\.json cannot be read"), held(tmp_path):
            pass
        assert (tmp_path / "state.json").read_text() == "{"


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from app.config import Settings
from app.embedded.stack import running_stack

async def main():
    async with running_stack(Settings(), Path(sys.argv[1])) as stack:
        print("ready", *stack.pids.values(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


class TestCrash:
    async def test_the_next_start_finds_everything_after_kill_9_of_the_supervisor(self):
        with data_directory() as directory:
            first = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", SUPERVISOR, str(directory)),
                cwd=ROOT,
                env={k: v for k, v in os.environ.items() if not k.startswith("TARIFF_")},
                stdout=asyncio.subprocess.PIPE,
            )
            line = (await asyncio.wait_for(first.stdout.readline(), 60)).split()
            assert line[0] == b"ready"
            settings = beside(Settings(), directory)
            await leave_marks(settings, "crashed")
            first.kill()
            await first.wait()
            async with running_stack(Settings(), directory) as second:
                assert second.settings == settings
                assert set(second.pids) == SERVERS
                assert not set(second.pids.values()) & {int(pid) for pid in line[1:]}
                await assert_marks(second.settings, "crashed")
            assert not [pid for pid in map(int, line[1:]) if psutil.pid_exists(pid)]

    async def test_processes_left_behind_are_ended(self, tmp_path, monkeypatch):
        monkeypatch.setattr(leftovers, "_POLITE_SECONDS", 0.3)
        stubborn = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
            "print('up', flush=True); time.sleep(60)"
        )
        command = [sys.executable, "-c", stubborn]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as left:  # noqa: ASYNC220
            left.stdout.readline()
            started = psutil.Process(left.pid).create_time()
            with held(tmp_path) as directory:
                record = Recorded(left.pid, sys.executable, started, int(signal.SIGTERM))
                directory.record("left", record)
            with held(tmp_path) as directory:
                assert await leftovers.clear(directory) == ["left"]
                assert directory.processes == {}
            assert not psutil.pid_exists(left.pid)

    async def test_a_process_that_only_has_the_same_number_is_left_alone(self, tmp_path):
        me = psutil.Process()
        with held(tmp_path) as directory:
            for name, program, started in (
                ("older", sys.executable, me.create_time() - 60),
                ("other", "/bin/else", me.create_time()),
            ):
                directory.record(name, Recorded(me.pid, program, started, int(signal.SIGKILL)))
            assert await leftovers.clear(directory) == []
            assert directory.processes == {}

    @pytest.mark.skipif(sys.platform != "linux", reason="processes are tied on Linux")
    async def test_a_process_ends_with_its_supervisor(self, tmp_path):
        script = (
            "import asyncio, sys, os\n"
            "from pathlib import Path\n"
            "from app.embedded.directory import held\n"
            "from app.embedded.supervised import Program, Supervised\n"
            "async def main():\n"
            "    async def ready(): return True\n"
            "    with held(Path(sys.argv[1])) as directory:\n"
            "        program = Program(name='p', argv=('/bin/sleep', '60'), ready=ready, "
            "environ={})\n"
            "        one = Supervised(program, directory, lambda *_: None)\n"
            "        await one.start()\n"
            "        print(one.pid, flush=True)\n"
            "        os.kill(os.getpid(), 9)\n"
            "asyncio.run(main())\n"
        )
        parent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(tmp_path)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await parent.communicate()
        child = int(told)
        deadline = time.monotonic() + 5
        while psutil.pid_exists(child) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert not psutil.pid_exists(child)
