"""What a consumer has read and not yet handled, and which partitions wait after a failure."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.infra.kafka.messages import Message


class Pending:
    """Messages in the order of reading, with the number of rows in each."""

    def __init__(self, weigh: Callable[[bytes], int]) -> None:
        self._weigh = weigh
        self._messages: deque[tuple[Message, int]] = deque()
        self.rows = 0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: Message) -> None:
        rows = self._weigh(message.value)
        self._messages.append((message, rows))
        self.rows += rows

    def first(self, max_rows: int) -> tuple[list[Message], int]:
        """Whole messages of together at most `max_rows` rows, at least one, and their rows."""
        found: list[Message] = []
        total = 0
        for message, rows in self._messages:
            if found and total + rows > max_rows:
                break
            found.append(message)
            total += rows
        return found, total

    def drop(self, count: int) -> None:
        """The first `count` messages are done with, or handled elsewhere."""
        for _ in range(count):
            self.rows -= self._messages.popleft()[1]

    def move(self, partition: int, to: "Pending") -> None:
        """Hand over the messages of a partition, in order."""
        kept: deque[tuple[Message, int]] = deque()
        for message, rows in self._messages:
            if message.partition == partition:
                to.add(message)
                self.rows -= rows
            else:
                kept.append((message, rows))
        self._messages = kept

    def clear(self) -> None:
        self._messages.clear()
        self.rows = 0


@dataclass(slots=True)
class Held:
    """A partition that failed: its messages from the first unhandled one on.

    `alone` means that they are tried one by one, to find the one at fault.
    """

    pending: Pending
    failures: int = 0
    retry_at: float = 0.0
    alone: bool = False
