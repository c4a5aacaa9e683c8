"""An API key: `tk_live_<12 characters>_<43 characters><checksum of 6>`.

`live` keys belong to production environments and `test` keys to development ones. The first 12
characters find the key, the 43 prove it, and the checksum refuses mistyped keys without a
look-up. Only the SHA-256 of the whole key is stored.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.tenants.tenant import EnvironmentType
from app.tenants.tokens import SECRET_LENGTH, checksum, digest, random_text

LABEL_LENGTH = 12
_KEY = re.compile(
    rf"(?P<prefix>tk_(?:live|test)_[0-9A-Za-z]{{{LABEL_LENGTH}}})"
    rf"_[0-9A-Za-z]{{{SECRET_LENGTH}}}(?P<checksum>[0-9A-Za-z]{{6}})",
    re.ASCII,
)
_KINDS = {EnvironmentType.PRODUCTION: "live", EnvironmentType.DEVELOPMENT: "test"}


class ApiKeyStatus(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret, which nobody can see twice.

    `permissions` is its own set: it does not follow whoever created it. A key of a service
    account has those of its permissions that the account's roles give at the moment of use.
    `last_used_at` is up to a minute late.
    """

    id: str
    name: str
    prefix: str
    permissions: tuple[str, ...]
    service_account_id: str | None
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    rotated_from: str | None
    created_at: datetime
    updated_at: datetime

    def status(self, at: datetime) -> ApiKeyStatus:
        if self.revoked_at is not None:
            return ApiKeyStatus.REVOKED
        if self.expires_at is not None and self.expires_at <= at:
            return ApiKeyStatus.EXPIRED
        return ApiKeyStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A key that was just made. `text` is shown once and kept nowhere."""

    text: str
    prefix: str
    hash: str

    def __repr__(self) -> str:
        return f"NewSecret(prefix={self.prefix!r})"


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    key: ApiKey
    secret: NewSecret


def new_secret(kind: EnvironmentType) -> NewSecret:
    prefix = f"tk_{_KINDS[kind]}_{random_text(LABEL_LENGTH)}"
    body = f"{prefix}_{random_text()}"
    text = body + checksum(body)
    return NewSecret(text, prefix, digest(text))


def prefix_of(text: str) -> str | None:
    """What finds the key, or None for a text that no key of ours ever was."""
    match = _KEY.fullmatch(text)
    if match is None or checksum(text[: match.start("checksum")]) != match["checksum"]:
        return None
    return match["prefix"]
