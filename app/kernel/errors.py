"""Facts a caller can cause and should handle.

    TariffError
    ├── DomainError          refused by a rule; nothing changed; never a bug
    │   ├── Invalid          a value of the input is wrong (names the field and what would be right)
    │   ├── NotFound         no such thing in this scope; a foreign id looks exactly the same
    │   ├── Conflict         the state, or another row, is in the way
    │   └── Denied           the caller may not
    └── Unavailable          a server we depend on does not answer; try again later

A code is forever, a message is not: clients switch on `code`.
"""


class TariffError(Exception):
    """Root of what the product raises on purpose."""

    code: str = "ERROR"

    @property
    def message(self) -> str:
        """The sentence meant for the caller."""
        return str(self)


class DomainError(TariffError):
    """An outcome a caller can cause and should handle; never a bug.

    `field` is the path of the input at fault in the caller's spelling, such as
    `tiers[1].upTo`, or None where the input as a whole is refused.
    """

    code = "REFUSED"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        if code is not None:
            self.code = code


class Invalid(DomainError):
    """A value of the input is wrong. The message says what was given and what would be right."""

    code = "INVALID"


class NotFound(DomainError):
    """Nothing of that kind has that key in the caller's scope."""

    code = "NOT_FOUND"

    def __init__(self, kind: str, key: object, *, field: str | None = None) -> None:
        super().__init__(f"{kind} {key} does not exist", field=field)
        self.kind, self.key = kind, str(key)


class Conflict(DomainError):
    """The state of the thing, or another thing, is in the way."""

    code = "CONFLICT"


class AlreadyExists(Conflict):
    """Something else in the scope already has that identity."""

    code = "ALREADY_EXISTS"

    def __init__(self, kind: str, field: str, value: object) -> None:
        super().__init__(f"another {kind} already has the {field} {value}", field=field)
        self.kind, self.value = kind, str(value)


class Denied(DomainError):
    """The caller is known, and may not do this."""

    code = "FORBIDDEN"


class Unauthenticated(DomainError):
    """The caller is not known: no credentials, or none that are in force."""

    code = "UNAUTHENTICATED"


class Unavailable(TariffError):
    """A server we depend on does not answer. Retrying later is right."""

    code = "UNAVAILABLE"

    def __init__(self, what: str, reason: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(f"{what} is unavailable: {reason}")
        self.what, self.retry_after_seconds = what, retry_after_seconds
