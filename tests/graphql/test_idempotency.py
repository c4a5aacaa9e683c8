"""`Idempotency-Key`: a mutation is carried out once, however often it is sent."""

import asyncio
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.customers import actions
from app.graphql import idempotency
from app.infra.idempotency import claimed, same_request
from app.infra.postgres import fetch, writing
from app.kernel.clock import SystemClock
from app.kernel.errors import Conflict
from app.kernel.scope import Scope
from app.tenants.role import PERMISSIONS, READS
from tests.graphql.test_http import post
from tests.tenants import make

CREATE = """mutation ($id: String!) {
  customerCreate(input: {externalId: $id, name: "Acme"}) {
    __typename ... on Customer { id } ... on Problem { code }
  }
}"""


async def create(
    http: httpx.AsyncClient, key: str, name: str = "acme", *, once: str | None = "k1"
) -> httpx.Response:
    headers = {"x_api_key": key} | ({"idempotency_key": once} if once is not None else {})
    return await post(http, {"query": CREATE, "variables": {"id": name}}, **headers)


async def customers(scope: Scope) -> int:
    return len(await fetch(scope, "SELECT id FROM customers"))


async def test_the_same_request_gets_the_same_bytes_and_is_done_once(
    http: httpx.AsyncClient, key: str, place: Scope
) -> None:
    first = await create(http, key)
    second = await create(http, key)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["data"]["customerCreate"]["__typename"] == "Customer"
    assert second.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["idempotency-key-expires"] == first.headers["idempotency-key-expires"]
    assert await customers(place) == 1
    without = await create(http, key, once=None)
    assert without.json()["data"]["customerCreate"]["code"] == "ALREADY_EXISTS"


async def test_a_refusal_by_a_rule_is_an_answer_too(
    http: httpx.AsyncClient, key: str, place: Scope
) -> None:
    await create(http, key, once=None)
    refused = await create(http, key)
    assert refused.json()["data"]["customerCreate"]["code"] == "ALREADY_EXISTS"
    assert (await create(http, key)).content == refused.content
    assert await customers(place) == 1


async def test_another_request_under_the_same_key_is_422(
    http: httpx.AsyncClient, key: str, place: Scope
) -> None:
    await create(http, key)
    answer = await create(http, key, "other")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_MISMATCH"
    assert await customers(place) == 1


async def test_the_order_of_variables_does_not_make_another_request(
    http: httpx.AsyncClient, key: str
) -> None:
    text = """mutation ($a: String!, $b: String!) {
      customerCreate(input: {externalId: $a, name: $b}) { ... on Customer { id } } }"""
    answers = [
        await post(http, {"query": text, "variables": dict(v)}, x_api_key=key, idempotency_key="k")
        for v in ([("a", "x"), ("b", "y")], [("b", "y"), ("a", "x")])
    ]
    assert answers[0].content == answers[1].content


async def test_a_request_under_way_makes_the_same_key_wait(
    http: httpx.AsyncClient, key: str, place: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    real = actions.create

    async def slow(*args: Any, **kwargs: Any) -> Any:
        entered.set()
        await leave.wait()
        return await real(*args, **kwargs)

    monkeypatch.setattr(actions, "create", slow)
    first = asyncio.create_task(create(http, key))
    await entered.wait()
    meanwhile = await create(http, key)
    leave.set()
    assert meanwhile.status_code == 409
    assert meanwhile.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_IN_PROGRESS"
    done = await first
    assert (await create(http, key)).content == done.content
    assert await customers(place) == 1


async def test_a_failure_keeps_nothing_and_leaves_the_key_free(
    http: httpx.AsyncClient, key: str, place: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """mutation {
      a: customerCreate(input: {externalId: "a", name: "A"}) { ... on Customer { id } }
      b: customerCreate(input: {externalId: "b", name: "B"}) { ... on Customer { id } }
    }"""
    real, calls = actions.create, []

    async def failing_once(*args: Any, **kwargs: Any) -> Any:
        calls.append(args[1].external_id)
        if calls == ["a", "b"]:
            raise RuntimeError("the disk is on fire at /var/lib/secret")
        return await real(*args, **kwargs)

    monkeypatch.setattr(actions, "create", failing_once)
    answer = await post(http, {"query": text}, x_api_key=key, idempotency_key="k")
    assert answer.json()["data"] is None
    assert [e["extensions"]["code"] for e in answer.json()["errors"]] == ["INTERNAL"]
    assert await customers(place) == 0
    again = await post(http, {"query": text}, x_api_key=key, idempotency_key="k")
    assert "errors" not in again.json()
    assert calls == ["a", "b", "a", "b"]
    assert await customers(place) == 2


async def test_keys_belong_to_who_sent_them_and_to_the_environment(
    http: httpx.AsyncClient, key: str, place: Scope
) -> None:
    clock = SystemClock()
    other = (await make.key(place, clock, permissions=PERMISSIONS)).secret.text
    elsewhere = make.production(await make.tenant(clock))
    foreign = (await make.key(elsewhere, clock, permissions=PERMISSIONS)).secret.text
    first = await create(http, key)
    assert (await create(http, other)).json()["data"]["customerCreate"]["code"] == "ALREADY_EXISTS"
    assert (await create(http, foreign)).json() != first.json()
    assert (await customers(place), await customers(elsewhere)) == (1, 1)


async def test_a_denied_request_stores_nothing(http: httpx.AsyncClient, place: Scope) -> None:
    reader = (await make.key(place, SystemClock(), permissions=READS)).secret.text
    answer = await create(http, reader)
    assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await fetch(place, "SELECT id FROM idempotency_records") == []


@pytest.mark.parametrize("once", ["", "k" * 256, "a\tb"])
async def test_a_key_that_is_none_is_refused(
    http: httpx.AsyncClient, key: str, place: Scope, once: str
) -> None:
    answer = await create(http, key, once=once)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_IDEMPOTENCY_KEY"
    assert await customers(place) == 0


async def test_a_key_needs_somebody_to_belong_to(http: httpx.AsyncClient) -> None:
    answer = await post(http, {"query": CREATE, "variables": {"id": "x"}}, idempotency_key="k")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_IDEMPOTENCY_KEY"


async def test_queries_take_no_notice_of_a_key(http: httpx.AsyncClient, key: str) -> None:
    answer = await post(http, {"query": "{ __typename }"}, x_api_key=key, idempotency_key="k")
    assert answer.json() == {"data": {"__typename": "Query"}}
    assert "idempotency-key-expires" not in answer.headers


async def test_an_answer_with_a_secret_is_not_kept(
    http: httpx.AsyncClient, key: str, place: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "SHOWN_ONCE", frozenset({"customerCreate"}))
    first = await create(http, key)
    assert first.json()["data"]["customerCreate"]["__typename"] == "Customer"
    again = await create(http, key)
    assert again.status_code == 409
    assert again.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_ANSWER_NOT_KEPT"
    assert [row["answer"] for row in await fetch(place, "SELECT * FROM idempotency_records")] == [
        None
    ]
    assert await customers(place) == 1


async def test_an_expired_key_is_free_again_and_expired_answers_go_away(place: Scope) -> None:
    at = SystemClock().now()
    for number in range(3):
        async with claimed(place, "key:a", f"k{number}", b"f", at=at) as claim:
            await claim.store(b"{}")
    later = at + timedelta(hours=24)
    async with claimed(place, "key:a", "k0", same_request(b"other"), at=later) as claim:
        assert claim.stored is None
        await claim.store(b"new")
    rows = await fetch(place, "SELECT key, answer FROM idempotency_records")
    assert [(row["key"], bytes(row["answer"])) for row in rows] == [("k0", b"new")]


async def test_two_transactions_cannot_hold_one_key(place: Scope) -> None:
    at = SystemClock().now()

    outside = copy_context()  # where no transaction is open

    async def second() -> None:
        async with claimed(place, "key:a", "k", b"f", at=at):
            raise AssertionError("both hold the key")

    async with claimed(place, "key:a", "k", b"f", at=at):
        with pytest.raises(Conflict) as refused:
            await asyncio.create_task(second(), context=outside)
    assert refused.value.code == "IDEMPOTENCY_IN_PROGRESS"
    async with claimed(place, "key:a", "k", b"f", at=at) as claim:
        assert claim.stored is None


async def test_nothing_of_a_claim_remains_when_its_transaction_fails(place: Scope) -> None:
    at = SystemClock().now()

    async def fails() -> None:
        async with claimed(place, "key:a", "k", b"f", at=at) as claim, writing(place):
            await claim.store(b"{}")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await fetch(place, "SELECT id FROM idempotency_records") == []


def test_fingerprints_tell_requests_apart_wherever_the_parts_are_cut() -> None:
    assert same_request(b"ab", b"c") != same_request(b"a", b"bc")
    assert same_request(b"ab", b"c") == same_request(b"ab", b"c")
