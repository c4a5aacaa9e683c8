"""The seller's logo: an image in the bucket, named in the settings by a key that is ours."""

import hashlib
from datetime import datetime

from app.infra.s3 import Storage
from app.invoicing.pdf import Logo, can_print
from app.kernel import checks
from app.kernel.scope import Actor, Scope
from app.tenants.actions import environments
from app.tenants.settings import EnvironmentSettings

MOST_BYTES = 64 * 1024
_SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}
_MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg"}


async def set_logo(
    scope: Scope, image: bytes | None, storage: Storage, *, by: Actor, at: datetime
) -> EnvironmentSettings:
    """Print this image on what is issued from now on; None prints none.

    What was issued keeps the logo that it was issued with.
    Raises: Invalid (INVALID_IMAGE), NotFound, Archived, Unavailable.
    """
    key = None if image is None else await _stored(scope, image, storage)
    patch = {"documents": {"logo": key}}
    return await environments.update_settings(scope, patch, by=by, at=at)


async def _stored(scope: Scope, image: bytes, storage: Storage) -> str:
    if len(image) > MOST_BYTES:
        raise checks.invalid(
            "image", f"{len(image)} bytes are too many; at most {MOST_BYTES} bytes fit"
        )
    kind = next((kind for kind, head in _SIGNATURES.items() if image.startswith(head)), None)
    if kind is None or not await can_print(Logo(list(image), kind)):
        raise checks.invalid("image", "is neither a PNG nor a JPEG image that can be printed")
    digest = hashlib.sha256(image).hexdigest()
    key = f"{scope.tenant_id}/{scope.environment_id}/logos/{digest}.{kind}"
    await storage.put(key, image, _MEDIA_TYPES[kind], once=True)
    return key
