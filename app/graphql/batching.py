"""Batch reads of a domain, `(scope, keys) -> {key: row}`, as loaders."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

from strawberry.dataloader import DataLoader

from app.infra.listing import Page, PageRequest
from app.kernel.errors import NotFound, TariffError
from app.kernel.scope import Scope

K = TypeVar("K")
V = TypeVar("V")
Read = Callable[[Scope, Collection[K]], Awaitable[Mapping[K, V]]]
# A page of what belongs to the thing with this id.
PageKey = tuple[str, PageRequest]
PageRead = Callable[[Scope, Collection[str], PageRequest], Awaitable[Mapping[str, Page[V]]]]


def one(read: Read[K, V], scope: Scope) -> DataLoader[K, V | None]:
    """The row of a key, or None."""

    async def load(keys: list[K]) -> list[V | None]:
        found = await read(scope, keys)
        return [found.get(key) for key in keys]

    return DataLoader(load_fn=load)


def required(read: Read[K, V], scope: Scope, kind: str) -> DataLoader[K, V]:
    """The row of a key that some other row names. Raises: NotFound."""

    async def load(keys: list[K]) -> list[V | BaseException]:
        found = await read(scope, keys)
        return [found[key] if key in found else NotFound(kind, key) for key in keys]

    return DataLoader[K, V](load_fn=load)


def many(read: Read[K, list[V]], scope: Scope) -> DataLoader[K, list[V]]:
    """The rows that belong to a key; none is an empty list."""

    async def load(keys: list[K]) -> list[list[V]]:
        found = await read(scope, keys)
        return [found.get(key, []) for key in keys]

    return DataLoader(load_fn=load)


def paged(read: PageRead[V], scope: Scope) -> DataLoader[PageKey, Page[V]]:
    """The page of what belongs to a key: one read for all keys that are asked alike."""

    async def load(keys: list[PageKey]) -> list[Page[V] | BaseException]:
        asked: defaultdict[PageRequest, list[str]] = defaultdict(list)
        for parent, request in keys:
            asked[request].append(parent)
        found: dict[PageKey, Page[V] | BaseException] = {}
        for request, parents in asked.items():
            try:
                pages: Mapping[str, Page[V]] = await read(scope, parents, request)
            except TariffError as error:  # a cursor that is none: whoever asked otherwise is fine
                found |= {(parent, request): error for parent in parents}
            else:
                found |= {(parent, request): pages[parent] for parent in parents}
        return [found[key] for key in keys]

    return DataLoader[PageKey, Page[V]](load_fn=load)
