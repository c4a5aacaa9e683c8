"""Takes secrets and personal data out of what is logged or reported.

Two nets: by the name of a field, and by the look of a value, so that a password inside an
exception's text is caught as well.
"""

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"
_LONGEST = 16_384  # characters of one value; a stack of a deep recursion is longer

_SECRET_NAME = re.compile(
    r"(?i).*(passw|secret|token|authorization|cookie|credential|api_?key|access_key|private_key"
    r"|dsn|signature|jwt).*"
)
_PERSONAL_NAME = re.compile(
    r"(?i)(.*_)?(e?mail|email_address|phone|phone_number|first_name|last_name|full_name"
    r"|customer_name|billing_address|postal_address|ip_address|client_ip|card_number|iban)"
)
_LOOKS = re.compile(
    r"(?P<login>(?<=://)[^/\s@:]*:[^/\s]+(?=@))"
    r"|(?P<header>(?i:bearer|basic) +[A-Za-z0-9._~+/=-]{8,})"
    r"|(?P<jwt>\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)"
    r"|(?P<key>\b(?:tk_(?:live|test)|tariff|sk|rk|pk|whsec)_[A-Za-z0-9_]{12,})"
    r"|(?P<query>(?i:(?<=[?&])(?:password|token|api_?key|secret|signature)=[^&\s\"']+))"
    r"|(?P<mail>[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8})"
)


def redact(fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact in place; what is neither text nor a container is left alone."""
    for name, value in fields.items():
        fields[name] = _redacted(name, value)
    return fields


def redacted_text(text: str) -> str:
    """`text` without logins in URLs, credentials, keys and e-mail addresses."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters)"
    return _LOOKS.sub(REDACTED, text) if _suspect(text) else text


def _suspect(text: str) -> bool:
    # Every look holds one of these. Spelled out, this costs a hundredth of looking for the
    # looks, which most texts do not hold.
    return (
        "@" in text
        or "=" in text
        or "eyJ" in text
        or "k_" in text
        or "whsec_" in text
        or "tariff_" in text
        or "earer " in text
        or "EARER " in text
        or "asic " in text
        or "ASIC " in text
    )


@lru_cache(maxsize=4096)
def _telling(name: str) -> bool:
    """Whether a field of this name holds a secret or a person's data."""
    return bool(_SECRET_NAME.fullmatch(name) or _PERSONAL_NAME.fullmatch(name))


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if _telling(name):
            return REDACTED if value else value
        return redacted_text(value)
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(name, item) for item in value]
    return value
