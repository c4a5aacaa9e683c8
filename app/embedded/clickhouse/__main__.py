"""`python -m app.embedded.clickhouse --data-dir DIR --port N`: serve until SIGTERM.

The password of the user `default` comes from CLICKHOUSE_PASSWORD, not from the command line,
where other users of the machine could read it.
"""

import argparse
import ipaddress
import os
import sys
from pathlib import Path

from app.embedded.clickhouse.engine import Engine
from app.embedded.clickhouse.interface import Interface
from app.embedded.locks import InUse, exclusive
from app.embedded.serving import serve


def main() -> int:
    """Exit status: 0 after SIGTERM, 1 when the directory is in use, 2 for bad arguments."""
    parser = argparse.ArgumentParser(prog="python -m app.embedded.clickhouse")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1", type=_loopback)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    data_dir: Path = arguments.data_dir
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with exclusive(data_dir / "lock", what=f"The ClickHouse data in {data_dir}"):
            _serve(data_dir / "engine", arguments.host, arguments.port)
    except InUse as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _serve(data_dir: Path, host: str, port: int) -> None:
    engine = Engine(data_dir)
    interface = Interface(engine, password=os.environ.get("CLICKHOUSE_PASSWORD", ""))
    serve(interface, host=host, port=port, interrupt=interface.interrupt)
    if not interface.close(seconds=2.0):
        # A query that will not be stopped, or a client that neither sends nor leaves. Threads
        # would be waited for; what was inserted is on the disk.
        os._exit(1)
    engine.close()


def _loopback(host: str) -> str:
    """The engine can read this machine's files, so nobody else's machine may reach it."""
    try:
        inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise argparse.ArgumentTypeError(
            f"{host} is not a loopback address: the embedded ClickHouse serves this machine only; "
            "use 127.0.0.1"
        )
    return host


if __name__ == "__main__":
    sys.exit(main())
