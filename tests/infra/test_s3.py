"""The bucket on a real S3 server, and what is said when there is none."""

import asyncio

import aiohttp
import msgspec
import pytest
from yarl import URL

from app.infra.s3 import open_storage
from app.kernel.errors import NotFound, Unavailable


@pytest.fixture
async def storage(settings):
    async with open_storage(settings.s3) as opened:
        yield opened


async def test_what_is_put_can_be_got(storage):
    body = bytes(range(256)) * 1000
    await storage.put("folder/ä b+c.bin", body, "application/octet-stream")
    assert await storage.get("folder/ä b+c.bin") == body
    assert await storage.exists("folder/ä b+c.bin")


async def test_what_is_absent_is_not_found(storage):
    assert not await storage.exists("nothing")
    with pytest.raises(NotFound):
        await storage.get("nothing")


async def test_putting_again_replaces_and_putting_once_twice_is_fine(storage):
    await storage.put("twice", b"one", "text/plain")
    await storage.put("twice", b"two", "text/plain")
    assert await storage.get("twice") == b"two"
    await storage.put("once", b"same", "text/plain", once=True)
    await storage.put("once", b"same", "text/plain", once=True)
    assert await storage.get("once") == b"same"


async def test_deleting_is_idempotent(storage):
    await storage.put("gone", b"x", "text/plain")
    await storage.delete("gone")
    await storage.delete("gone")
    assert not await storage.exists("gone")


async def test_a_link_lets_anyone_read_for_a_while(storage):
    await storage.put("linked.pdf", b"%PDF-", "application/pdf")
    url = await storage.presign("linked.pdf", filename="INV-1.pdf")
    async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True)) as response:
        assert response.status == 200
        assert await response.read() == b"%PDF-"
        assert response.headers["content-type"] == "application/pdf"


async def test_opening_again_finds_the_bucket_and_what_is_in_it(settings, storage):
    await storage.put("kept", b"x", "text/plain")
    async with open_storage(settings.s3) as again:
        await again.ping()
        assert await again.get("kept") == b"x"


async def test_many_at_once(storage):
    await asyncio.gather(
        *(storage.put(f"many/{n}", str(n).encode(), "text/plain") for n in range(50))
    )
    bodies = await asyncio.gather(*(storage.get(f"many/{n}") for n in range(50)))
    assert bodies == [str(n).encode() for n in range(50)]


async def test_no_server_is_unavailable(settings, unused_tcp_port):
    nowhere = msgspec.structs.replace(
        settings.s3, endpoint_url=f"http://127.0.0.1:{unused_tcp_port}"
    )
    with pytest.raises(Unavailable) as refused:
        async with open_storage(nowhere):
            pass
    assert refused.value.what == "S3"


async def test_wrong_keys_are_told_apart_from_an_absent_object(settings, storage):
    await storage.put("secret", b"x", "text/plain")
    wrong = msgspec.structs.replace(settings.s3, secret_key="not-the-secret")
    with pytest.raises(Unavailable, match=r"Forbidden|AccessDenied|SignatureDoesNotMatch|match"):
        async with open_storage(wrong) as other:
            await other.get("secret")
