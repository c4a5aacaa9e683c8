"""Who acts and when, as this domain's actions take it."""

from datetime import datetime
from typing import TypedDict

from app.graphql.context import Context
from app.kernel.scope import Actor


class Recording(TypedDict):
    by: Actor
    at: datetime


class Acting(Recording):
    holding: frozenset[str]


def recording(context: Context) -> Recording:
    # The machine's time, not an environment's: keys and people outlive simulated time.
    return {"by": context.actor, "at": context.runtime.clock.now()}


def acting(context: Context) -> Acting:
    """For actions that could hand out power: with the permissions of who acts."""
    return {"holding": context.caller.permissions, **recording(context)}
