"""Continuous profiles: where a process spends its time, for a Pyroscope server."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyroscope

from app.config import Pyroscope


@contextmanager
def profiling(settings: Pyroscope, *, name: str, mode: str) -> Iterator[None]:
    """Sample this process while the block lasts; nothing without an address."""
    if not settings.address:
        yield
        return
    pyroscope.configure(
        application_name=name,
        server_address=settings.address,
        sample_rate=settings.sample_rate,
        oncpu=True,
        gil_only=False,
        tags={"mode": mode},
    )
    try:
        yield
    finally:
        pyroscope.shutdown()
