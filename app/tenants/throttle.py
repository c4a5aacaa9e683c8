"""Slows down guessing: attempts are counted in PostgreSQL, so all processes count together.

An attempt is counted before its password is checked, so that a thousand at once pass no more
than one after another would. Signing in clears the counts of the e-mail address; the network
address's runs out with its window. Addresses are kept as hashes, and only until then.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from app.infra.postgres import system
from app.tenants.errors import TooManyAttempts
from app.tenants.tokens import digest

WINDOW = timedelta(minutes=15)
# A person who mistypes stays below the first; an office behind one address below the last; and
# who guesses from one address cannot lock the owner out elsewhere.
PER_EMAIL_AND_ADDRESS, PER_EMAIL, PER_ADDRESS = 10, 50, 100
SIGNUPS_PER_ADDRESS = 20

# Rows are locked in the order of their keys, so two attempts cannot wait for each other.
_COUNT = """
INSERT INTO login_attempts AS a (key, attempts, window_ends_at)
SELECT key, 1, $2 FROM unnest($1::text[]) AS key ORDER BY key
ON CONFLICT (key) DO UPDATE SET
    attempts = CASE WHEN a.window_ends_at <= $3 THEN 1 ELSE a.attempts + 1 END,
    window_ends_at = CASE WHEN a.window_ends_at <= $3 THEN $2 ELSE a.window_ends_at END
RETURNING key, attempts, window_ends_at
"""
_FORGET = """
DELETE FROM login_attempts WHERE key IN (
    SELECT key FROM login_attempts WHERE key = ANY($1) ORDER BY key FOR UPDATE
)
"""
_SWEEP = """
DELETE FROM login_attempts WHERE key IN (
    SELECT key FROM login_attempts WHERE window_ends_at <= $1 LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""


def login_limits(email: str, address: str | None) -> dict[str, int]:
    """What an attempt to sign in counts against, and how many of it a window allows."""
    limits = {
        _pair(email, address): PER_EMAIL_AND_ADDRESS,
        digest(f"email:{email}"): PER_EMAIL,
    }
    if address:
        limits[digest(f"address:{address}")] = PER_ADDRESS
    return limits


def signup_limits(address: str | None) -> dict[str, int]:
    return {digest(f"signup:{address}"): SIGNUPS_PER_ADDRESS} if address else {}


async def attempt(limits: Mapping[str, int], *, at: datetime) -> None:
    """Count one attempt. Raises: TooManyAttempts, for known and unknown addresses alike."""
    if not limits:
        return
    async with system() as connection:
        await connection.execute(_SWEEP, at)
        rows = await connection.fetch(_COUNT, sorted(limits), at + WINDOW, at)
    over = [row["window_ends_at"] for row in rows if row["attempts"] > limits[row["key"]]]
    if over:
        until = max(over)
        raise TooManyAttempts(until, max(1, round((until - at).total_seconds())))


async def forget(email: str, address: str | None) -> None:
    """The e-mail address's owner has signed in: their earlier mistakes no longer count."""
    keys = sorted([_pair(email, address), digest(f"email:{email}")])
    async with system() as connection:
        await connection.execute(_FORGET, keys)


def _pair(email: str, address: str | None) -> str:
    return digest(f"email:{email} address:{address}")
