"""The tables of docs/configuration.md, from the types of the settings and config.yaml's comments.

`python -m tests.configuration_table` writes them into the page.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

from app.config import Settings
from app.config.settings import is_secret
from app.config.wrong import expected, variable

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "configuration.md"
START, END = "<!-- settings -->\n", "<!-- end of settings -->\n"


def comments() -> dict[tuple[str, str], str]:
    """What config.yaml says above each key; a key without a comment is left out."""
    found: dict[tuple[str, str], str] = {}
    section, said = "", []
    for line in (ROOT / "config.yaml").read_text().splitlines():
        if match := re.fullmatch(r"(\w+):", line):
            section, said = match[1], []
        elif match := re.fullmatch(r"  # (.*)", line):
            said.append(match[1])
        elif match := re.match(r"  (\w+):", line):
            if said:
                found[section, match[1]] = " ".join(said)
            said = []
    return found


def tables() -> str:
    """One table per section: key, variable, type, default, meaning."""
    said = comments()
    return "\n".join(_table(name, cls, said) for name, cls in get_type_hints(Settings).items())


def _table(section: str, cls: Any, said: dict[tuple[str, str], str]) -> str:
    rows = [
        f"| `{key}` | {_cell(expected(kind))} | {_default(cls(), key, kind)} | "
        f"{_cell(said.get((section, key), ''))} |"
        for key, kind in get_type_hints(cls, include_extras=True).items()
    ]
    head = ["| key | must be | default | meaning |", "| --- | --- | --- | --- |"]
    shape = f"Variables: `{variable(section, '<KEY>')}`, such as `{_example(section, cls)}`."
    return "\n".join([f"### {section}", "", shape, "", *head, *rows, ""])


def _example(section: str, cls: Any) -> str:
    return variable(section, next(iter(get_type_hints(cls))))


def _default(value: Any, key: str, kind: Any) -> str:
    default = getattr(value, key)
    if is_secret(kind) and default:
        return "a development secret"
    if default in ("", [], {}):
        return "empty"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def parts(page: str) -> Iterator[str]:
    """The page before the tables, the tables, and the page after them."""
    before, _, rest = page.partition(START)
    inside, _, after = rest.partition(END)
    yield from (before + START, inside, END + after)


if __name__ == "__main__":
    before, _, after = parts(PAGE.read_text())
    PAGE.write_text(f"{before}\n{tables()}\n{after}")
