"""Every benchmark there is. To add one: a module here, and its line below."""

from collections.abc import Awaitable, Callable, Sequence

from app.config import Settings
from bench import access, billing_run, graphql_list, ingest
from bench.result import Result

# Measures over migrated servers of its own, with inputs of so many times the usual size where
# they can be scaled.
Benchmark = Callable[[Settings, float], Awaitable[Sequence[Result]]]


async def _graphql_list(settings: Settings) -> Sequence[Result]:
    found = await graphql_list.measure(settings)
    by_hand = "Starlette, asyncpg and orjson, by hand"
    return [
        Result(
            name="graphql_list.cpu",
            what=f"{graphql_list.ROWS} customers × 10 fields over HTTP, server CPU a request",
            value=found.graphql_cpu_ms,
            unit="ms",
            floor=found.floor_cpu_ms,
            floor_is=by_hand,
            seed=0,
        ),
        Result(
            name="graphql_list.rate",
            what=f"the same, requests over {graphql_list.CONNECTIONS} connections",
            value=found.graphql_per_second,
            unit="requests/s",
            floor=found.floor_per_second,
            floor_is=by_hand,
            seed=0,
        ),
    ]


def _of_one_size(run: Callable[[Settings], Awaitable[Sequence[Result]]]) -> Benchmark:
    async def measured(settings: Settings, scale: float) -> Sequence[Result]:
        return await run(settings)

    return measured


BENCHMARKS: dict[str, Benchmark] = {
    "access": _of_one_size(access.run),
    "billing_run": billing_run.run,
    "ingest": _of_one_size(ingest.run),
    "graphql_list": _of_one_size(_graphql_list),
}
