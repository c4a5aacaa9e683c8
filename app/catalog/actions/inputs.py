"""Checks that the nouns of the catalogue share, by the name of the column they lead to."""

from app.kernel import checks
from app.kernel.checks import Checks, required

DESCRIPTION_LENGTH = 2000
UNIT_LENGTH = 64


NAMED: Checks = {
    "name": lambda v: checks.text(required(v, "name"), "name"),
    "lookup_key": lambda v: checks.key(required(v, "lookupKey"), "lookupKey"),
    "description": lambda v: checks.optional_text(v, "description", longest=DESCRIPTION_LENGTH),
    "metadata": lambda v: checks.metadata(v or {}),
}
# A lookup key never changes.
CHANGEABLE: Checks = {name: check for name, check in NAMED.items() if name != "lookup_key"}
