"""Side effects leave by the outbox: events written with the state, told afterwards.

`put` writes in the transaction that changed the state. One relay at a time (it holds an
advisory lock) numbers what was committed without a gap per environment, and hands it on at
least once and in order.
"""

from app.infra.outbox.relay import Entry, relay_once
from app.infra.outbox.write import put, put_many

__all__ = ["Entry", "put", "put_many", "relay_once"]
