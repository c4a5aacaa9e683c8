"""Compiles the templates: typst in a thread, with the fonts it brings along, and no network."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
import typst

from app.invoicing.pdf.document import Document, Logo
from app.kernel.errors import TariffError

_LAYOUTS = Path(__file__).with_name("layouts")
# A compiler does one thing at a time, without the interpreter's lock, and keeps what it knows
# of fonts and the templates: each thread has its own.
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="typst")
_local = threading.local()


class Unprintable(TariffError):
    """The template could not be compiled: a defect of ours, never of the invoice's owner."""

    code = "UNPRINTABLE"


async def render(document: Document) -> bytes:
    """The PDF of `document`; the same bytes for the same document. Raises: Unprintable.

    A page of 10 lines that were not printed before takes some 20 ms of CPU, one of 60 compact
    lines 45 ms, the same again 5 ms.
    """
    text = msgspec.json.encode(document).decode()
    loop = asyncio.get_running_loop()
    try:
        output = await loop.run_in_executor(_THREADS, compiled, document.layout, text, "pdf")
    except typst.TypstError as error:
        raise Unprintable(f"{document.number}: {error.message} {error.diagnostic}") from error
    if not isinstance(output, bytes):
        raise Unprintable(f"{document.number}: typst gave no bytes")
    return output


async def can_print(logo: Logo) -> bool:
    """Whether the image is one that can be printed."""
    text = msgspec.json.encode(logo).decode()
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(_THREADS, compiled, "logo", text, "pdf")
    except typst.TypstError:
        return False
    return True


def compiled(template: str, text: str, format_: Literal["pdf", "png"]) -> object:
    """What typst makes of a template and its data; images come as a list, one for each page."""
    return _compiler().compile(
        input=_template(template),
        format=format_,
        sys_inputs={"document": text},
        # A fixed instant and identifiers derived from the content: the bytes repeat.
        timestamp=0,
    )


@cache
def _template(name: str) -> bytes:
    return (_LAYOUTS / f"{name}.typ").read_bytes()


def _compiler() -> typst.Compiler:
    """This thread's own. Fonts of the machine would change the bytes from host to host."""
    found: typst.Compiler | None = getattr(_local, "compiler", None)
    if found is None:
        found = typst.Compiler(root=str(_LAYOUTS), ignore_system_fonts=True)
        _local.compiler = found
    return found
