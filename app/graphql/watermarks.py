"""Watermarks for what a request counts, so that it can be counted again."""

from datetime import datetime, timedelta
from typing import Final

from app.invoicing.billing import caught_up
from app.metering.visibility import EventVisibility
from app.runtime import Runtime

# How long a request waits for accepted events to be counted.
_WAIT: Final = timedelta(seconds=10)


async def watermark(runtime: Runtime) -> datetime:
    """An instant of the machine's: everything accepted before this was called counts as of it.

    Raises: Unavailable, also where the events take longer than a request can wait.
    """
    visibility = EventVisibility(runtime.settings)
    taken = await visibility.take()
    await caught_up(visibility, taken, _WAIT)
    return taken
