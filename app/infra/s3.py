"""S3-compatible storage: objects of one bucket, through one client per process.

Keys are derived from what is stored, so writing an object twice stores the same bytes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from app.config import S3
from app.kernel.errors import NotFound, Unavailable

AWS = "aws"
# One request, its retries included, takes at most this long.
_REQUEST_SECONDS = 30.0
_ABSENT = {"404", "NoSuchKey", "NotFound"}
_PRESENT = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_UNCONDITIONAL = {"501", "NotImplemented"}


@dataclass(frozen=True, slots=True)
class Storage:
    """The bucket. Made by `open_storage`, which also closes it."""

    client: Any
    bucket: str
    presign_seconds: int

    async def put(self, key: str, body: bytes, content_type: str, *, once: bool = False) -> None:
        """Store `body` under `key`; on return it is durable, as the server understands it.

        With `once`, an object that is already there stays (for keys made from the content).
        Raises: Unavailable.
        """
        request = {"Key": key, "Body": body, "ContentType": content_type}
        if once:
            try:
                await self._call("put_object", **request, IfNoneMatch="*")
            except _Refused as refused:
                if refused.s3_code in _PRESENT:
                    return
                if refused.s3_code not in _UNCONDITIONAL:
                    raise
            else:
                return
        await self._call("put_object", **request)

    async def get(self, key: str) -> bytes:
        """The bytes under `key`. Raises: NotFound, Unavailable."""
        try:
            response = await self._call("get_object", Key=key)
        except _Refused as refused:
            if refused.s3_code in _ABSENT:
                raise NotFound("object", key) from None
            raise
        try:
            async with asyncio.timeout(_REQUEST_SECONDS), response["Body"] as stream:
                body: bytes = await stream.read()
        except (BotoCoreError, OSError, TimeoutError) as error:
            raise Unavailable("S3", f"{key} broke off: {error}") from error
        return body

    async def exists(self, key: str) -> bool:
        """Whether there is an object under `key`. Raises: Unavailable."""
        try:
            await self._call("head_object", Key=key)
        except _Refused as refused:
            if refused.s3_code in _ABSENT:
                return False
            raise
        return True

    async def delete(self, key: str) -> None:
        """Remove what is under `key`; nothing there is fine. Raises: Unavailable."""
        await self._call("delete_object", Key=key)

    async def presign(self, key: str, *, filename: str | None = None) -> str:
        """A link that lets anyone read `key` for `presign_seconds`, saved as `filename`."""
        parameters = {"Bucket": self.bucket, "Key": key}
        if filename is not None:
            parameters["ResponseContentDisposition"] = f'attachment; filename="{filename}"'
        url: str = await self.client.generate_presigned_url(
            "get_object", Params=parameters, ExpiresIn=self.presign_seconds
        )
        return url

    async def ensure_bucket(self) -> None:
        """Create the bucket unless it is there. Raises: Unavailable."""
        try:
            await self._call("head_bucket")
        except _Refused as refused:
            if refused.s3_code not in {*_ABSENT, "NoSuchBucket"}:
                raise
            await self._create_bucket()

    async def ping(self) -> None:
        """One round trip, for readiness. Raises: Unavailable."""
        await self._call("head_bucket")

    async def _create_bucket(self) -> None:
        region = self.client.meta.region_name
        # us-east-1 is the one region that must not be named.
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            await self._call("create_bucket", **({} if region == "us-east-1" else where))
        except _Refused as refused:
            if refused.s3_code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    async def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                return await getattr(self.client, operation)(Bucket=self.bucket, **parameters)
        except ClientError as error:
            raise _Refused(error) from error
        except (BotoCoreError, OSError, TimeoutError) as error:
            raise Unavailable("S3", f"{operation}: {error or type(error).__name__}") from error


class _Refused(Unavailable):
    """The server answered, with an error of its own: `s3_code`."""

    def __init__(self, error: ClientError) -> None:
        said = error.response.get("Error", {})
        super().__init__("S3", f"{error.operation_name}: {said.get('Message') or error}")
        self.s3_code = str(said.get("Code", ""))


@asynccontextmanager
async def open_storage(settings: S3) -> AsyncIterator[Storage]:
    """One client for as long as the block lasts, its bucket made if need be.

    Raises: Unavailable.
    """
    custom = settings.endpoint_url not in {"", AWS}
    config = AioConfig(
        connect_timeout=5,
        read_timeout=20,
        max_pool_connections=20,
        retries={"mode": "standard", "max_attempts": 3},
        signature_version="s3v4",  # else links are signed the way that Amazon has given up
        # Servers other than Amazon's know the bucket as a path, and not the newer checksums.
        s3={"addressing_style": "path" if custom else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = aioboto3.Session()
    async with session.client(
        "s3",
        endpoint_url=settings.endpoint_url if custom else None,
        region_name=settings.region,
        # Without keys the SDK's own chain (instance role, environment) finds them.
        aws_access_key_id=settings.access_key or None,
        aws_secret_access_key=settings.secret_key or None,
        config=config,
    ) as client:
        storage = Storage(client, settings.bucket, settings.presign_seconds)
        await storage.ensure_bucket()
        yield storage
