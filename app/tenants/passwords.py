"""Passwords: argon2id, checked off the event loop and in equal time for everybody."""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.kernel.checks import invalid

SHORTEST, LONGEST = 12, 256

# RFC 9106's second recommendation: 64 MiB, three passes.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)
# Verified where there is no such user, so that the answer takes as long as a wrong password's.
_NOBODYS = _HASHER.hash("the password of nobody at all")
# Each hash takes 64 MiB and a core: more at once would only starve the requests beside them.
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


def checked(password: str, field: str = "password") -> str:
    """A password that may be set: 12 to 256 characters. Raises: Invalid."""
    normal = _normal(password)
    if normal is None or not SHORTEST <= len(normal) <= LONGEST:
        raise invalid(field, f"must have {SHORTEST} to {LONGEST} characters")
    return normal


async def hashed(password: str) -> str:
    """The hash to store. `password` has passed `checked`."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, password)


async def matches(password: str, stored: str | None) -> bool:
    """Whether it is the password. With nothing stored: never, after the same work."""
    normal = _normal(password)
    right = await asyncio.get_running_loop().run_in_executor(
        _THREADS, _verified, stored or _NOBODYS, (normal or "")[:LONGEST]
    )
    return right and stored is not None and normal is not None and len(normal) <= LONGEST


def outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def _verified(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str | None:
    """One form of what may be typed in several; None for what no keyboard produces."""
    normal = unicodedata.normalize("NFKC", password)
    if any("\ud800" <= char <= "\udfff" for char in normal):
        return None
    return normal
