"""ClickHouse's error codes: out of the engine's texts, and into HTTP's status codes.

The status of a code follows ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp.
"""

import re

UNKNOWN_FORMAT = 73
UNKNOWN_SETTING = 115
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
INCORRECT_DATA = 117
QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
AUTHENTICATION_FAILED = 516
_UNKNOWN_EXCEPTION = 1002

_NAMES = {
    UNKNOWN_FORMAT: "UNKNOWN_FORMAT",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    INCORRECT_DATA: "INCORRECT_DATA",
    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    _UNKNOWN_EXCEPTION: "UNKNOWN_EXCEPTION",
}

# fmt: off
_STATUS = {
    400: {6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, SYNTAX_ERROR, 72, INCORRECT_DATA, 123,
          167, 168, 223, 321, 376, 427, 441, 675, 676},
    401: {194},
    403: {192, 193, 497, 512, AUTHENTICATION_FAILED},
    404: {46, 47, 50, 56, 60, 63, UNKNOWN_FORMAT, 78, 81, UNKNOWN_SETTING, 152, 336, 511},
    408: {159},
    411: {381},
    413: {229},
    415: {779},
    501: {NOT_IMPLEMENTED},
    503: {76, 209, 439},
}
# fmt: on
_STATUS_OF = {code: status for status, codes in _STATUS.items() for code in codes}

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
# Where the engine read the data of an insert, which is our doing and nobody's business.
_STAGED = re.compile(
    r": \(in file/uri [^)]*\)|: While executing File: data for INSERT was parsed from file"
)


class EngineError(Exception):
    """What the engine, or the interface in its place, refused: its code and its own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """The HTTP status that a ClickHouse server answers this code with."""
        return _STATUS_OF.get(self.code, 500)

    def text(self, version: str) -> str:
        """The body of the answer, worded as the server words it."""
        name = _NAMES.get(self.code)
        message = self.message if name is None else f"{self.message}. ({name})"
        return f"Code: {self.code}. DB::Exception: {message} (version {version})\n"


def engine_error(raised: str, version: str) -> EngineError:
    """What chdb raised, without the wrappings of chdb and of our own process."""
    match = _CODE.search(raised)
    if match is None:
        return EngineError(_UNKNOWN_EXCEPTION, raised)
    code = int(match[1])
    while (again := _CODE.match(raised, match.end())) is not None:
        match = again
    # What follows the version is the same exception once more, told by whoever passed it on.
    message = _STAGED.sub("", raised[match.end() :].partition(f" (version {version})")[0]).strip()
    known = _NAMES.get(code)
    return EngineError(code, message.removesuffix(f". ({known})") if known else message)
