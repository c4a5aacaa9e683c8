"""Ends long-lived connections whose credentials are no longer in force.

One check per credential serves all of its connections. Credentials are asked again often
enough that, with what authentication remembers, a revoked key is out within about a second.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.kernel.copies import replace
from app.kernel.errors import Denied, Unauthenticated, Unavailable
from app.tenants.authentication import Authenticator, Caller, Credentials, authenticate

RECHECK_SECONDS = 0.4

Close = Callable[[], None]


@dataclass(slots=True)
class _Watched:
    caller: Caller
    close: set[Close] = field(default_factory=set)


class Watch:
    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._watched: dict[Credentials, _Watched] = {}

    @contextmanager
    def over(self, credentials: Credentials, caller: Caller, close: Close) -> Iterator[None]:
        """Call `close` once the credentials no longer give what they gave to `caller`."""
        if caller.is_system:
            # A system key is part of the configuration, and each of its uses is audited.
            yield
            return
        credentials = replace(credentials, request_id=None)
        watched = self._watched.setdefault(credentials, _Watched(caller))
        watched.close.add(close)
        try:
            yield
        finally:
            watched.close.discard(close)
            if not watched.close and self._watched.get(credentials) is watched:
                del self._watched[credentials]

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            for credentials, watched in list(self._watched.items()):
                if not await self._holds(credentials, watched.caller):
                    for close in list(watched.close):
                        close()

    async def _holds(self, credentials: Credentials, caller: Caller) -> bool:
        try:
            now = await authenticate(self._authenticator, credentials)
        except (Unauthenticated, Denied):
            return False
        except Unavailable:
            return True  # not to know is no reason to hang up
        return (now.scope, now.permissions) == (caller.scope, caller.permissions)
