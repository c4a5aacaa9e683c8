"""The S3 server: what nanio promises, and what the broker's log needs beyond it."""

import asyncio
import contextlib
import json
import os
import struct

import msgspec
import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from app.config import S3
from app.embedded.s3.conditions import Condition, of_this_request
from app.embedded.s3.storage import AtomicStorage
from app.embedded.s3.turnstile import Turnstile, settle
from app.infra.s3 import open_storage

BUCKET = "bucket"


async def stream(*chunks):
    for chunk in chunks:
        yield chunk


@contextlib.contextmanager
def conditional(**condition):
    token = of_this_request.set(Condition(**condition))
    try:
        yield
    finally:
        of_this_request.reset(token)


async def put(storage, key, body=b"body", **condition):
    with conditional(**condition):
        return await storage.put_object(BUCKET, key, stream(body))


async def get(storage, key):
    return b"".join([chunk async for chunk in (await storage.get_object(BUCKET, key)).body])


def keys(storage, **options):
    return [info.key for info in storage.list_objects(BUCKET, **options).contents]


@pytest.fixture
def storage(tmp_path):
    made = AtomicStorage(tmp_path)
    made.create_bucket(BUCKET)
    return made


@pytest_asyncio.fixture
async def client(stack):
    settings = msgspec.structs.replace(stack.settings.s3, bucket="documents")
    async with open_storage(settings) as opened:
        yield opened


class TestOverHttp:
    async def test_objects_are_stored_listed_and_deleted(self, client):
        await client.put("a/b.pdf", b"%PDF", "application/pdf")
        found = await client.client.get_object(Bucket="documents", Key="a/b.pdf")
        assert await found["Body"].read() == b"%PDF"
        assert found["ContentType"] == "application/pdf"
        listed = await client.client.list_objects_v2(Bucket="documents", Prefix="a/")
        assert [item["Key"] for item in listed["Contents"]] == ["a/b.pdf"]
        await client.delete("a/b.pdf")
        assert not await client.exists("a/b.pdf")

    async def test_of_many_that_create_the_same_object_one_does(self, client):
        async def create(n):
            try:
                await client.client.put_object(
                    Bucket="documents", Key="once", Body=b"%d" % n, IfNoneMatch="*"
                )
            except ClientError as error:
                return error.response["ResponseMetadata"]["HTTPStatusCode"]
            return 200

        statuses = await asyncio.gather(*map(create, range(10)))
        assert sorted(statuses) == [200] + [412] * 9
        assert await client.get("once") == b"%d" % statuses.index(200)

    async def test_an_update_of_what_has_changed_is_refused(self, client):
        first = await client.client.put_object(Bucket="documents", Key="state", Body=b"1")
        update = {"Bucket": "documents", "Key": "state", "IfMatch": first["ETag"]}
        await client.client.put_object(**update, Body=b"2")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            await client.client.put_object(**update, Body=b"3")
        assert await client.get("state") == b"2"

    async def test_a_multipart_upload_is_listed_and_read(self, client):
        place = {"Bucket": "documents", "Key": "large"}
        upload = (await client.client.create_multipart_upload(**place))["UploadId"]
        parts = []
        for number, body in ((1, b"x" * 5_242_880), (2, b"end")):
            done = await client.client.upload_part(
                **place, UploadId=upload, PartNumber=number, Body=body
            )
            parts.append({"PartNumber": number, "ETag": done["ETag"]})
        await client.client.complete_multipart_upload(
            **place, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        assert (await client.get("large"))[-5:] == b"xxend"
        listed = await client.client.list_objects_v2(Bucket="documents", Prefix="large")
        assert [item["Size"] for item in listed["Contents"]] == [5_242_883]

    async def test_part_of_an_object_can_be_read(self, client):
        await client.put("part", b"0123456789", "text/plain")
        found = await client.client.get_object(Bucket="documents", Key="part", Range="bytes=3-5")
        assert await found["Body"].read() == b"345"
        assert found["ContentRange"] == "bytes 3-5/10"

    async def test_strangers_are_refused(self, stack):
        settings = S3(
            endpoint_url=stack.settings.s3.endpoint_url, access_key="someone", secret_key="else"
        )
        with pytest.raises(Exception, match="Forbidden"):
            async with open_storage(settings):
                pass


class TestConditions:
    async def test_creation_needs_absence(self, storage):
        await put(storage, "k", b"1", none_match="*")
        with pytest.raises(Exception, match="PreconditionFailed"):
            await put(storage, "k", b"2", none_match="*")
        assert await get(storage, "k") == b"1"

    async def test_an_update_needs_the_version_it_saw(self, storage):
        seen = await put(storage, "k", b"1")
        await put(storage, "k", b"2", match=seen.etag)
        for etag in (seen.etag, '"unknown"'):
            with pytest.raises(Exception, match="PreconditionFailed"):
                await put(storage, "k", b"3", match=etag)
        with pytest.raises(Exception, match="PreconditionFailed"):
            await put(storage, "absent", b"3", match=seen.etag)
        assert await get(storage, "k") == b"2"
        assert keys(storage) == ["k"]


class TestCrashes:
    async def test_a_write_cut_short_leaves_what_was_there(self, storage, tmp_path):
        await put(storage, "k", b"before")

        async def broken():
            yield b"aft"
            raise ConnectionAbortedError

        with pytest.raises(ConnectionAbortedError):
            await storage.put_object(BUCKET, "k", broken())
        assert await get(storage, "k") == b"before"
        assert list((tmp_path / ".nanio" / "staging").iterdir()) == []

    async def test_what_was_being_written_at_a_crash_is_swept_away(self, storage, tmp_path):
        await put(storage, "k")
        (tmp_path / ".nanio" / "staging" / "half").write_bytes(b"ha")
        after = AtomicStorage(tmp_path)
        assert keys(after) == ["k"]
        assert list((tmp_path / ".nanio" / "staging").iterdir()) == []

    async def test_an_object_younger_than_its_sidecar_is_told_as_it_is(self, storage, tmp_path):
        old = await put(storage, "k", b"old content")
        sidecar = tmp_path / BUCKET / ".nanio-meta" / "k.json"
        kept = sidecar.read_bytes()
        new = await put(storage, "k", b"new")
        sidecar.write_bytes(kept)  # as if the crash came before the sidecar's turn
        after = AtomicStorage(tmp_path)
        found = after.head_object(BUCKET, "k")
        assert (found.size, found.etag) == (3, new.etag)
        assert found.etag != old.etag
        assert await get(after, "k") == b"new"
        await put(after, "k", b"newer", match=new.etag)

    async def test_metadata_survive_a_restart(self, storage, tmp_path):
        await storage.put_object(BUCKET, "k", stream(b"x"), content_type="application/pdf")
        found = AtomicStorage(tmp_path).head_object(BUCKET, "k")
        assert found == storage.head_object(BUCKET, "k")
        assert found.content_type == "application/pdf"

    async def test_a_reader_sees_one_version_whole(self, storage):
        size = 6_000_000  # more than is read at once
        await put(storage, "k", b"a" * size)
        reading = (await storage.get_object(BUCKET, "k")).body
        first = await anext(aiter(reading))
        await put(storage, "k", b"b")
        rest = b"".join([chunk async for chunk in reading])
        assert first + rest == b"a" * size


class TestListing:
    async def test_pages_follow_one_another_without_gap_or_overlap(self, storage):
        names = sorted(f"{a}/{b}.x" for a in "ab" for b in range(13))
        for name in names:
            await put(storage, name)
        seen, token = [], None
        while True:
            page = storage.list_objects(BUCKET, max_keys=4, continuation_token=token)
            seen += [info.key for info in page.contents]
            assert len(page.contents) <= 4
            token = page.next_continuation_token
            if not page.is_truncated:
                break
        assert seen == names

    async def test_folders_are_told_once(self, storage):
        for name in ("a/1", "a/2", "b/c/3", "d", "e/4"):
            await put(storage, name)
        page = storage.list_objects(BUCKET, delimiter="/")
        assert page.common_prefixes == ["a/", "b/", "e/"]
        assert [info.key for info in page.contents] == ["d"]
        inner = storage.list_objects(BUCKET, prefix="b/", delimiter="/")
        assert (inner.common_prefixes, inner.contents) == (["b/c/"], [])
        first = storage.list_objects(BUCKET, delimiter="/", max_keys=2)
        assert first.common_prefixes == ["a/", "b/"]
        rest = storage.list_objects(
            BUCKET, delimiter="/", continuation_token=first.next_continuation_token
        )
        assert rest.common_prefixes == ["e/"]
        assert [info.key for info in rest.contents] == ["d"]

    async def test_deleted_objects_are_gone_from_it(self, storage, tmp_path):
        for name in ("a", "b", "c"):
            await put(storage, name)
        storage.delete_object(BUCKET, "b")
        assert keys(storage) == keys(AtomicStorage(tmp_path)) == ["a", "c"]
        assert keys(storage, start_after="a") == ["c"]


PARTITION = "clusters/tariff/topics/t/partitions/0000000000"


def watermark(high, low=None):
    return json.dumps({"low": low, "high": high, "timestamps": None}).encode()


def batch(records):
    """A record batch as Kafka's wire has it, as far as the storage reads it."""
    after_length = struct.pack(">ibIhi", -1, 2, 0, 0, records - 1) + bytes(40)
    return struct.pack(">qi", 0, len(after_length)) + after_length


async def take(storage, high):
    """What the broker does first: raise the watermark."""
    return await put(storage, f"{PARTITION}/watermark.json", watermark(high))


async def fill(storage, offset, records=1):
    """What it does then: store the batch."""
    await put(storage, f"{PARTITION}/records/{offset:020}.batch", batch(records))


class TestTurnstile:
    async def test_offsets_are_taken_only_after_the_last_ones_are_filled(self, storage):
        await take(storage, 3)
        second = asyncio.create_task(take(storage, 5))
        await asyncio.sleep(0.05)
        assert not second.done()
        await fill(storage, 0, records=3)
        await asyncio.wait_for(second, 1)
        third = asyncio.create_task(take(storage, 6))
        await asyncio.sleep(0.05)
        assert not third.done()
        await fill(storage, 3, records=2)
        await asyncio.wait_for(third, 1)

    async def test_a_restart_of_the_server_does_not_open_it(self, storage, tmp_path):
        await take(storage, 3)
        restarted = AtomicStorage(tmp_path)
        waiting = asyncio.create_task(take(restarted, 5))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await fill(restarted, 0, records=3)
        await asyncio.wait_for(waiting, 1)

    async def test_partitions_do_not_wait_for_each_other(self, storage):
        await take(storage, 3)
        other = PARTITION.replace("0000000000", "0000000001")
        for high in (1, 2):
            await put(storage, f"{other}/watermark.json", watermark(high))
            await put(storage, f"{other}/records/{high - 1:020}.batch", batch(1))

    async def test_a_batch_that_never_comes_is_written_off(self, tmp_path):
        path = tmp_path / "watermark.json"
        path.write_bytes(watermark(3))
        staged = tmp_path / "staged"
        staged.write_bytes(watermark(5))
        turnstile = Turnstile(lambda _: None, patience_seconds=0.1)
        for _ in range(2):
            await asyncio.wait_for(turnstile.admit(path, staged), 1)

    async def test_deleted_records_are_not_waited_for(self, storage):
        await put(storage, f"{PARTITION}/watermark.json", watermark(9, low=9))
        await asyncio.wait_for(take(storage, 10), 1)


class TestSettling:
    async def test_a_watermark_ahead_of_its_log_is_taken_back(self, storage, tmp_path):
        await take(storage, 2)
        await fill(storage, 0, records=2)
        await take(storage, 7)
        assert settle(tmp_path / BUCKET) == 1
        assert json.loads(await get(storage, f"{PARTITION}/watermark.json"))["high"] == 2
        assert settle(tmp_path / BUCKET) == 0

    async def test_a_whole_log_is_left_alone(self, storage, tmp_path):
        for key, high, low in (("a", None, None), ("b", 0, None), ("c", 4, 4)):
            await put(storage, f"{key}/watermark.json", watermark(high, low))
        await take(storage, 2)
        await fill(storage, 0, records=2)
        assert settle(tmp_path / BUCKET) == 0

    def test_a_bucket_without_logs_is_left_alone(self, tmp_path):
        assert settle(tmp_path / "absent") == 0


def test_times_of_files_are_kept_to_the_microsecond(tmp_path):
    # The storage tells a crash by a file that is younger than its sidecar.
    file = tmp_path / "file"
    file.touch()
    os.utime(file, ns=(1_700_000_000_123_456_000, 1_700_000_000_123_456_000))
    assert file.stat().st_mtime_ns == 1_700_000_000_123_456_000
