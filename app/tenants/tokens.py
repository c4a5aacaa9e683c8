"""Random texts that prove something, and what we keep of them: a hash."""

import hashlib
import secrets
import string
import zlib

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_LENGTH = 43  # 43 characters of 62 kinds: 256 bits
CHECKSUM_LENGTH = 6


def random_text(length: int = SECRET_LENGTH) -> str:
    """Letters and digits, each equally likely."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def digest(text: str) -> str:
    """SHA-256 in hex: enough for what has 256 random bits, and cheap to compare."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def checksum(text: str) -> str:
    """Six letters and digits that tell a mistyped text from a real one without a look-up."""
    value = zlib.crc32(text.encode())
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        value, index = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[index] + digits
    return digits
