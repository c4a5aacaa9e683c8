"""Which statements a piece of work sends to PostgreSQL."""

from collections.abc import Awaitable, Callable

from app.infra.postgres import writing
from app.kernel.scope import Scope


async def statements(scope: Scope, work: Callable[[], Awaitable[object]]) -> list[str]:
    """The statements that `work` sends inside one transaction, but for the savepoint's.

    Reads and writes join a transaction that is open, so that one connection sees them all.
    """
    seen: list[str] = []
    async with writing(scope) as connection:
        with connection.query_logger(lambda record: seen.append(record.query)):
            await work()
    return [query for query in seen if not query.startswith(("SAVEPOINT", "RELEASE"))]
