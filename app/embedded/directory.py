"""The data directory: everything that outlives a run.

.tariff/
├── state.json      ports, secrets, the API's address and the processes that run; its owner's alone
├── lock            held by the one process that supervises
├── logs/           one file per server and service, and the one before it
├── postgres/ clickhouse/ s3/ temporal/
"""

import json
import os
import secrets
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.embedded.errors import DamagedState
from app.embedded.locks import exclusive

_LOG_BYTES = 67_108_864
HOST = "127.0.0.1"


class Recorded(msgspec.Struct, frozen=True):
    """A process that a run started: enough to know it again, and how to end it."""

    pid: int
    program: str  # argv[0]
    started: float  # seconds since the epoch, as the system says
    stop_signal: int


class ApiAddress(msgspec.Struct, frozen=True):
    """Where the API of a run listens: `host` as it was configured, and the port it has."""

    host: str
    port: int


class _State(msgspec.Struct):
    api: ApiAddress | None = None
    ports: dict[str, int] = {}
    secrets: dict[str, str] = {}
    processes: dict[str, Recorded] = {}


class Directory:
    """A data directory that is ours (made by `held`), or another process's (by `of_another`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path / "state.json"
        self._state = _read(self._file)
        self._ports_in_use: set[str] = set()
        self._guard = threading.RLock()  # servers are prepared on threads

    def folder(self, name: str, *, mode: int = 0o700) -> Path:
        """A folder of the data directory, made if need be."""
        folder = self.path / name
        folder.mkdir(mode=mode, exist_ok=True)
        return folder

    def secret(self, name: str) -> str:
        """The secret of that name, drawn at random the first time: 43 characters, URL-safe."""
        with self._guard:
            if name not in self._state.secrets:
                self._state.secrets[name] = secrets.token_urlsafe(32)
                self._write()
            return self._state.secrets[name]

    def port(self, name: str) -> int:
        """The port of that name: the same in each run, unless something else has taken it."""
        with self._guard:
            port = self._state.ports.get(name)
            if port is None or not (name in self._ports_in_use or _is_free(port)):
                self._state.ports[name] = port = _free_port(set(self._state.ports.values()))
                self._write()
            self._ports_in_use.add(name)
            return port

    def log(self, name: str) -> Path:
        """The log file of that name."""
        return self.folder("logs") / f"{name}.log"

    def turn_log(self, name: str) -> Path:
        """Begin the log of that name anew, and keep the one before it as `.log.1`."""
        log = self.log(name)
        if log.exists() and log.stat().st_size:
            log.replace(log.with_suffix(".log.1"))
        return log

    def trim_logs(self) -> None:
        """Cut logs that have grown too long. Their writers append, and notice nothing."""
        for log in self.folder("logs").glob("*.log"):
            if log.stat().st_size > _LOG_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)

    @property
    def processes(self) -> dict[str, Recorded]:
        """What this run has started, or an earlier one has left."""
        return dict(self._state.processes)

    def record(self, name: str, process: Recorded | None) -> None:
        """Write down that a process runs under that name, or (None) that it has ended."""
        with self._guard:
            if process is None:
                self._state.processes.pop(name, None)
            else:
                self._state.processes[name] = process
            self._write()

    @property
    def api(self) -> ApiAddress | None:
        """Where the API of this run listens; None while the run has none."""
        return self._state.api

    def record_api(self, address: ApiAddress | None) -> None:
        """Write down where the API of this run listens, or (None) that the run has none."""
        with self._guard:
            if address != self._state.api:
                self._state.api = address
                self._write()

    def _write(self) -> None:
        replacement = self._file.with_suffix(".new")
        descriptor = os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(json.dumps(msgspec.to_builtins(self._state), indent=2).encode())
            opened.flush()
            os.fsync(descriptor)
        replacement.replace(self._file)


@contextmanager
def held(path: Path) -> Iterator[Directory]:
    """The data directory at `path`, made if need be, for as long as the block lasts.

    Raises: InUse, while another process holds it; DamagedState.
    """
    path = path.expanduser().resolve()
    # PostgreSQL under root runs as a user of its own, who must be able to walk through.
    path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    with exclusive(path / "lock", what=f"The data directory {path}"):
        yield Directory(path)


def of_another(path: Path) -> Directory:
    """The data directory of a stack that another process runs; to read ports and secrets from."""
    directory = Directory(path.expanduser().resolve())
    directory._ports_in_use.update(directory._state.ports)
    return directory


def _read(file: Path) -> _State:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_State)
    except FileNotFoundError:
        return _State()
    except msgspec.MsgspecError as error:
        raise DamagedState(
            f"{file} cannot be read ({error}). It holds the passwords of the databases beside it: "
            "restore it from a copy, or begin anew with another data directory."
        ) from None


def _free_port(others: set[int]) -> int:
    while True:
        with socket.socket() as listener:
            listener.bind((HOST, 0))
            port: int = listener.getsockname()[1]
        if port not in others:
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # Connections of the last run that linger do not take the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True
