"""The header `Idempotency-Key` on mutations: a request is carried out once, however often sent.

All of the request is one transaction with the stored answer. If any field ends in an error
(not a refusal, which is data), nothing of the request is kept and the key stays free.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.graphql.context import Context
from app.graphql.encoding import encoded, sorted_bytes
from app.graphql.errors import RequestRefused, malformed, refused_by_domain
from app.graphql.execution import Body, Prepared
from app.graphql.metrics import REPLAYS
from app.graphql.scalars import show_instant
from app.graphql.schema import SHOWN_ONCE
from app.graphql.service import Service
from app.infra.idempotency import Stored, claimed, same_request
from app.kernel.errors import Conflict, Denied, Invalid
from app.kernel.scope import Scope

_STATUS = {"IDEMPOTENCY_IN_PROGRESS": 409, "IDEMPOTENCY_MISMATCH": 422}


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    headers: Mapping[str, str]


class _Undone(Exception):
    """Some field failed: leave the transaction without keeping anything."""

    def __init__(self, body: Body) -> None:
        super().__init__("a field failed")
        self.body = body


async def once(service: Service, prepared: Prepared, context: Context, key: str) -> Answer:
    """Carry out a mutation under a key, or give the answer it got before.

    Raises: RequestRefused (400, 409 while another is at it, 422 for another request).
    """
    at = service.runtime.clock.now()
    fingerprint = same_request(
        prepared.operation.digest.encode(),
        (prepared.operation.name or "").encode(),
        sorted_bytes(prepared.variables),
    )
    secret = not SHOWN_ONCE.isdisjoint(prepared.operation.root_fields)
    actor = f"{context.caller.actor.kind}:{context.caller.actor.id}"
    try:
        async with claimed(_owner(context), actor, key, fingerprint, at=at) as claim:
            if claim.stored is not None:
                return _replayed(claim.stored)
            answer = _whole(await service.execute(prepared, context))
            stored = await claim.store(None if secret else answer)
    except _Undone as undone:
        # What some fields had done is undone with the rest, so none of it is shown.
        return Answer(encoded({**undone.body, "data": None}), {})
    except (Invalid, Conflict) as error:
        raise malformed(error.message, error.code, status=_STATUS.get(error.code, 400)) from error
    return Answer(answer, _published(stored))


def _whole(body: Body) -> bytes:
    """The answer when every field was carried out or refused by a rule. Raises: _Undone."""
    if "errors" in body:
        raise _Undone(body)
    return encoded(body)


def _owner(context: Context) -> Scope:
    """Whose keys these are. Raises: RequestRefused for a caller without a tenant."""
    caller = context.caller
    try:
        return caller.scope or caller.tenant_scope
    except Denied as error:
        raise refused_by_domain(error) from error


def _replayed(stored: Stored) -> Answer:
    REPLAYS.inc()
    if stored.answer is None:
        raise RequestRefused(
            [
                {
                    "message": "this was carried out before, and its answer held a secret that is "
                    "shown only once",
                    "extensions": {"code": "IDEMPOTENCY_ANSWER_NOT_KEPT"},
                }
            ],
            status=409,
            malformed=True,
        )
    return Answer(stored.answer, {"idempotency-replayed": "true", **_published(stored)})


def _published(stored: Stored) -> dict[str, str]:
    return {"idempotency-key-expires": show_instant(stored.expires_at)}
