"""One process at a time: a lock on a file, which the system releases when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.kernel.errors import TariffError


class InUse(TariffError):
    """Another process holds what only one may."""

    code = "IN_USE"

    def __init__(self, what: str, holder: int | None, path: Path) -> None:
        by = f"process {holder}" if holder else "another process"
        super().__init__(f"{what} is in use by {by}: stop it, or use another directory ({path})")
        self.holder = holder


@contextmanager
def exclusive(path: Path, *, what: str) -> Iterator[None]:
    """Hold the lock on `path` for as long as the block lasts. Raises: InUse, at once.

    `what` begins the sentence of the refusal. The file stays behind and says who held it last.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).strip()
            raise InUse(what, int(holder) if holder.isdigit() else None, path) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
