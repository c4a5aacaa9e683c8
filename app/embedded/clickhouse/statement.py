"""Reads just enough of a statement to route it, the way ClickHouse's own parser would.

Only an INSERT with data needs care: the engine wants the statement and the data apart, and
the data may be binary and larger than memory.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from app.embedded.clickhouse.codes import NOT_IMPLEMENTED, SYNTAX_ERROR, EngineError

Kind = Literal["insert", "select", "other"]

_TOKEN = re.compile(
    rb"""
    (?P<blank> \s+ | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/ )
  | (?P<quoted> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*`
              | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
  | (?P<word> [A-Za-z_]\w* )
  | (?P<opening> [(\[{] )
  | (?P<closing> [)\]}] )
  | (?P<end> ; )
  | (?P<other> . )
    """,
    re.DOTALL | re.VERBOSE,
)
_GAP = re.compile(rb"[ \t\f]*\r?\n?")
_FIRST_WORDS_OF_A_SELECT = {b"SELECT", b"WITH", b"FROM"}


@dataclass(frozen=True, slots=True)
class Statement:
    """`text` is what to run. For an INSERT with data it ends before SETTINGS, VALUES or FORMAT;
    `settings` is that clause, and the data begin at `data_at` in what was parsed (None: all of
    it is statement)."""

    kind: Kind
    text: bytes
    format: str | None = None
    settings: bytes = b""
    data_at: int | None = None


@dataclass(frozen=True, slots=True)
class _Word:
    text: bytes  # upper case, or b"" for anything that is not a bare word
    start: int
    end: int


def parse(source: bytes) -> Statement:
    """What kind of statement `source` holds and where its parts are.

    Raises: EngineError, for several statements at once and for reading or writing files.
    """
    words = _top_level(source)
    first = next(words, None)
    if first is not None and first.text == b"INSERT":
        return _insert(source, words)
    return _query(source, first, words)


def _query(source: bytes, first: _Word | None, words: Iterator[_Word]) -> Statement:
    rest = list(words)
    if any(word.text == b"OUTFILE" for word in rest):
        raise EngineError(NOT_IMPLEMENTED, "INTO OUTFILE is not allowed")
    selects = first is not None and (
        first.text in _FIRST_WORDS_OF_A_SELECT or source[first.start : first.end] == b"("
    )
    return Statement("select" if selects else "other", source, _format_of(source, rest))


def _format_of(source: bytes, words: list[_Word]) -> str | None:
    """The name in the FORMAT clause, which only SETTINGS may follow. Columns have that name too."""
    for at in range(len(words) - 2, -1, -1):
        clause, name, after = words[at], words[at + 1], words[at + 2 : at + 3]
        ends = not after or after[0].text == b"SETTINGS"
        if clause.text == b"FORMAT" and name.text and ends:
            return source[name.start : name.end].decode()
    return None


def _insert(source: bytes, words: Iterator[_Word]) -> Statement:
    selects, settings_at = False, None
    for word in words:
        if word.text in (b"SELECT", b"WITH"):
            selects = True
        elif word.text == b"INFILE":
            raise EngineError(NOT_IMPLEMENTED, "FROM INFILE is not allowed")
        elif word.text == b"SETTINGS" and not selects:
            settings_at = word.start
        elif word.text == b"VALUES" and not selects:
            return _with_data(source, settings_at, word.start, form="Values", data_at=word.end)
        elif word.text == b"FORMAT":
            name = next(words, None)
            if name is None or not name.text:
                raise EngineError(SYNTAX_ERROR, "Syntax error: FORMAT must be followed by a name")
            named = source[name.start : name.end].decode()
            if selects:  # chdb takes the statement, and drops the data without a word
                raise EngineError(
                    NOT_IMPLEMENTED,
                    "The embedded ClickHouse does not offer INSERT … SELECT … FROM input()",
                )
            gap = _GAP.match(source, name.end)
            data_at = gap.end() if gap else name.end
            return _with_data(source, settings_at, word.start, form=named, data_at=data_at)
    if selects:
        return Statement("other", source)
    return _with_data(source, settings_at, len(source))


def _with_data(
    source: bytes,
    settings_at: int | None,
    end: int,
    *,
    form: str | None = None,
    data_at: int | None = None,
) -> Statement:
    if settings_at is None:
        return Statement("insert", source[:end], form, data_at=data_at)
    settings = source[settings_at:end]
    return Statement("insert", source[:settings_at], form, settings, data_at)


def _top_level(source: bytes) -> Iterator[_Word]:
    """The tokens outside parentheses, quotes and comments. Raises: EngineError."""
    depth, ended = 0, False
    for token in _TOKEN.finditer(source):
        kind = token.lastgroup
        if kind == "blank":
            continue
        if ended and kind != "end":
            raise EngineError(
                SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed): one at a time"
            )
        if kind == "end" and depth == 0:
            ended = True
        if kind == "closing":
            depth -= 1
        if depth == 0 and kind != "closing" and kind != "end":
            text = token[0].upper() if kind == "word" else b""
            yield _Word(text, token.start(), token.end())
        if kind == "opening":
            depth += 1
