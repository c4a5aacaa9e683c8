"""Somebody who asks for what belongs to another, and notes what the answers give away."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from app.graphql.schema import KINDS
from app.kernel.ids import new_id, prefix_of
from tests.e2e.places import Caller
from tests.e2e.walk import Question

# In any text that the victim has written.
VICTIM: Final = "Zanzibar"
CANARY: Final = re.compile(r"zanzibar|ZAN-", re.I)

# What the installation's operator alone may do: refused to anybody else, whatever the id.
OPERATORS: Final = {"tenants", "tenantCreate", "tenantSuspend", "tenantReactivate"}
# Whoever logs in gives an address and no tenant, so an address is one user's in all of them,
# and who may add users learns that one is taken. Nothing else.
TAKEN: Final = {
    "mutation userCreate(input.email)",
    "mutation userInvite(input.email)",
    "mutation userUpdate(input.email)",
}


def nobodys(value: str, number: int) -> str:
    """What nobody has, looking like `value`; another for each number."""
    if (prefix := prefix_of(value)) is not None:
        return new_id(prefix)
    return re.sub(VICTIM[:3], f"N{number}", value, flags=re.I)


class Stranger:
    """Asks about what another has, and notes in `found` what that gives away."""

    def __init__(self, caller: Caller, own: dict[str, str], other: dict[str, str]) -> None:
        self.found: list[str] = []
        self.own = own
        self.shared: set[str] = set()  # prefixes of ids that are no secret
        self._caller, self._other = caller, other
        self._asked = 0
        self._unknown: dict[tuple[str, str], str] = {}
        self._ids = {value for value in other.values() if prefix_of(value)}

    async def probe(self, question: Question, *, canary: bool) -> None:
        """Note where the answer about the other's differs from that about nobody's."""
        for what in self._kinds(question):
            known = self._other.get(what, "")
            nobody = self._nobodys(question, what) if question.slot else ""
            theirs = await self._answer(question, known, hidden=(known, nobody))
            if question.slot is None:
                self._note(f"{question} {what}", theirs, theirs, canary=canary)
                continue
            unknown = await self._answer(question, nobody, hidden=(known, nobody))
            self._unknown[str(question), what] = unknown
            self._note(f"{question} {what}", theirs, unknown, canary=canary)
            if question.name in OPERATORS and '"SYSTEM_KEY_REQUIRED"' not in theirs:
                self.found.append(f"{question}: is not the operator's alone: {theirs[:300]}")

    async def control(self, question: Question) -> None:
        """Note where the stranger's own is answered no better than nobody's."""
        if question.slot is None or question.claims or question.name in OPERATORS:
            return
        for what in self._kinds(question):
            mine = await self._answer(question, self.own[what], hidden=(self.own[what],))
            if mine == self._unknown[str(question), what]:
                self.found.append(f"{question} {what}: says the same of one's own: {mine[:300]}")

    def _note(self, where: str, theirs: str, unknown: str, *, canary: bool) -> None:
        if where.rpartition(" ")[0] in TAKEN:
            told = "already has the email <asked>" in theirs
            unknown = theirs if told else f"an address is not one user's: {unknown}"
        if theirs != unknown:
            self.found.append(f"{where}: {difference(theirs, unknown)}")
        if canary and (leak := CANARY.search(theirs)):
            self.found.append(f"{where}: leaks {leak[0]}: {theirs[:300]}")
        for code in ("INTERNAL", "BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"):
            if f'"{code}"' in theirs:
                self.found.append(f"{where}: cannot be asked, so nothing is known: {theirs[:300]}")

    def _kinds(self, question: Question) -> list[str]:
        """What of the other's goes into the slot."""
        if question.slot is None:
            return [""]
        secret = {what: prefix_of(value) not in self.shared for what, value in self._other.items()}
        if question.slot.what != "node":
            return [question.slot.what] if secret[question.slot.what] else []
        found = {kind.prefix for kind in KINDS}
        return [
            what for what, id_ in self._other.items() if secret[what] and prefix_of(id_) in found
        ]

    def _nobodys(self, question: Question, what: str) -> str:
        # A name that was claimed is the stranger's own from then on: the victim's, and so this.
        return nobodys(self._other[what], 0 if question.claims else self._asked)

    async def _answer(self, question: Question, value: str, *, hidden: Iterable[str]) -> str:
        """Without what differs from one request to the next, and with `hidden` made the same."""
        self._asked += 1
        fresh = f"fresh{self._asked}"
        variables = question.asking(value, fresh=fresh)
        ask = self._caller.follow if question.root == "subscription" else self._caller.ask
        text = json.dumps(without_noise(await ask(question.document, **variables)))
        for each in filter(None, hidden):
            text = text.replace(each, "<asked>")
        text = text.replace(fresh, "<fresh>")
        for known in self._ids:
            text = text.replace(known, "<ZAN-id>")
        return anonymous(text)


_NOISE = {"requestId", "secret", "token", "prefix", "startCursor", "endCursor", "version", "runId"}
_ID = re.compile(r"\b[a-z]{3,5}_[0-9A-HJKMNP-TV-Z]{26}\b")
_COUNT = re.compile(r"-\d{6}-\d{5}\b")  # of documents, which every one of them raises
_NOW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")  # what a test names has no fraction


def anonymous(text: str) -> str:
    """`text` without ids, and without instants that nobody named."""
    return _COUNT.sub("<count>", _NOW.sub("<now>", _ID.sub("<id>", text)))


def difference(one: str, other: str) -> str:
    """Where two answers part."""
    at = next((at for at, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1), 0)
    return f"…{one[max(0, at - 80) : at + 200]}… is not …{other[max(0, at - 80) : at + 200]}…"


def without_noise(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "…" if key in _NOISE or key.endswith(("At", "Url")) else without_noise(part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [without_noise(part) for part in value]
    return value
