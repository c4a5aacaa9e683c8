"""Persisted operations: a client names a document by its SHA-256 instead of sending it.

A document that was sent once with its hash is remembered for as long as there is room; a
client that is told PERSISTED_QUERY_NOT_FOUND sends it again. A deployment may also list the
documents it knows, and refuse all others.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping

from app.graphql.errors import RequestRefused, malformed
from app.graphql.wire import GraphRequest

_HASH = re.compile(r"[0-9a-f]{64}")


class PersistedOperations:
    """`listed` are documents by hash; with `only_listed` no other is run."""

    def __init__(
        self,
        listed: Mapping[str, str] | None = None,
        *,
        only_listed: bool = False,
        capacity: int = 1_048_576,
    ) -> None:
        self._listed = {digest(text): text for text in (listed or {}).values()}
        self._only_listed, self._capacity = only_listed, capacity
        self._met: OrderedDict[str, str] = OrderedDict()
        self._characters = 0

    def text(self, request: GraphRequest) -> str:
        """The document a request means. Raises: RequestRefused."""
        named = _named(request)
        if named is None:
            if request.query is None:
                raise malformed("the request has no query")
            return self._allowed(request.query)
        if request.query is None:
            return self._known(named)
        if digest(request.query) != named:
            raise malformed(
                "the query is not the one that its sha256Hash names", "PERSISTED_QUERY_MISMATCH"
            )
        self._remember(named, self._allowed(request.query))
        return request.query

    def _known(self, named: str) -> str:
        text = self._listed.get(named) or (None if self._only_listed else self._met.get(named))
        if text is None:
            # The message and status that clients of this protocol know.
            raise RequestRefused(
                [
                    {
                        "message": "PersistedQueryNotFound",
                        "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"},
                    }
                ],
                status=200,
            )
        if named in self._met:
            self._met.move_to_end(named)
        return text

    def _allowed(self, text: str) -> str:
        if self._only_listed and digest(text) not in self._listed:
            raise malformed(
                "this server runs listed operations only", "OPERATION_NOT_LISTED", status=403
            )
        return text

    def _remember(self, named: str, text: str) -> None:
        if named in self._met or len(text) > self._capacity:
            return
        self._met[named] = text
        self._characters += len(text)
        while self._characters > self._capacity:
            _, oldest = self._met.popitem(last=False)
            self._characters -= len(oldest)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _named(request: GraphRequest) -> str | None:
    """The hash a request names: `extensions.persistedQuery.sha256Hash`, or `documentId`."""
    named: object = None
    if request.document_id is not None:
        named = request.document_id.removeprefix("sha256:")
    elif (extension := request.extensions.get("persistedQuery")) is not None:
        if not isinstance(extension, dict) or extension.get("version") != 1:
            raise malformed("extensions.persistedQuery: version must be 1")
        named = extension.get("sha256Hash")
    else:
        return None
    if not isinstance(named, str) or not _HASH.fullmatch(named):
        raise malformed("a persisted operation is named by 64 lower-case hexadecimal digits")
    return named
