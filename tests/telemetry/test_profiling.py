"""Profiles reach the server that is configured."""

import subprocess
import sys

from tests.telemetry.receiver import receiver

_PROGRAM = """
import sys, time
from app.config import Pyroscope
from app.infra.telemetry.profiling import profiling
with profiling(Pyroscope(address=sys.argv[1]), name="billing", mode="consumer"):
    end = time.monotonic() + 2
    while time.monotonic() < end:
        sum(range(10_000))
"""


def test_a_profile_names_the_deployment_and_the_mode() -> None:
    with receiver() as server:
        subprocess.run([sys.executable, "-c", _PROGRAM, server.url], check=True, timeout=60)
        server.wait()
        path, body = server.posts[0]
    assert "/ingest" in path or "/push" in path
    assert "billing" in path or b"billing" in body
    assert "consumer" in path or b"consumer" in body
