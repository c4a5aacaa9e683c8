"""What can be done with a test clock: one function per verb, each one transaction.

`at` is always the machine's present: a clock's own is what it shows.
"""

from app.clocks.actions.advancing import advance, arrive, fail, move
from app.clocks.actions.keeping import CreateTestClock, archive, create, restore, update

__all__ = [
    "CreateTestClock",
    "advance",
    "archive",
    "arrive",
    "create",
    "fail",
    "move",
    "restore",
    "update",
]
