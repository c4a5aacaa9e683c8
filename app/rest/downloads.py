"""GET /v1/invoices/{id}/pdf, csv, json, ubl and GET /v1/credit_notes/{id}/pdf, json, ubl: documents
as files, drafts and void ones too; UBL of those in force that EN 16931 can tell, else 409."""

from collections.abc import Awaitable, Callable
from typing import Final, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.infra.telemetry import request_id
from app.invoicing import actions
from app.invoicing.actions import File, FileKind, NoteFileKind
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import is_id
from app.runtime import Runtime
from app.tenants.authentication import Authenticator, Caller, authenticate, credentials_of
from app.tenants.settings import Layout

Handler = Callable[[Request, Caller], Awaitable[Response]]

_LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
# Who may call each route: the permission it takes, in the environment of the caller.
POLICIES: Final[dict[tuple[str, str], str]] = {
    **{("GET", f"/v1/invoices/{{id}}/{kind.value}"): "invoice:read" for kind in FileKind},
    **{
        ("GET", f"/v1/credit_notes/{{id}}/{kind.value}"): "credit_note:read"
        for kind in NoteFileKind
    },
}


class DownloadDoor:
    """Handles the routes that answer with documents; each checks its entry of `POLICIES`."""

    def __init__(self, runtime: Runtime, authenticator: Authenticator) -> None:
        self._runtime, self._authenticator = runtime, authenticator

    def routes(self) -> list[Route]:
        handlers: dict[tuple[str, str], Handler] = {
            **{
                ("GET", f"/v1/invoices/{{id}}/{kind.value}"): self._invoice_as(kind)
                for kind in FileKind
            },
            **{
                ("GET", f"/v1/credit_notes/{{id}}/{note_kind.value}"): self._note_as(note_kind)
                for note_kind in NoteFileKind
            },
        }
        return [
            Route(path, self._guarded(handlers[method, path], permission), methods=[method])
            for (method, path), permission in POLICIES.items()
        ]

    def _guarded(
        self, handler: Handler, permission: str
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            credentials = credentials_of(request.headers, request_id=request_id())
            caller = await authenticate(self._authenticator, credentials)
            caller.require(permission)
            return await handler(request, caller)

        return handle

    def _invoice_as(self, kind: FileKind) -> Handler:
        async def handle(request: Request, caller: Caller) -> Response:
            """200 with the file, named after the invoice's number, or its id without one."""
            layout = _layout(request) if kind is FileKind.PDF else None
            invoice_id = _id(request, "inv", "invoice")
            storage, scope = self._runtime.storage, caller.environment_scope
            file = await actions.download(scope, invoice_id, kind, storage, layout=layout)
            return _answer(file, inline=kind is FileKind.PDF)

        return handle

    def _note_as(self, kind: NoteFileKind) -> Handler:
        async def handle(request: Request, caller: Caller) -> Response:
            """200 with the file, named after the credit note's number."""
            layout = _layout(request) if kind is NoteFileKind.PDF else None
            note_id = _id(request, "crn", "credit note")
            storage, scope = self._runtime.storage, caller.environment_scope
            file = await actions.download_note(scope, note_id, kind, storage, layout=layout)
            return _answer(file, inline=kind is NoteFileKind.PDF)

        return handle


def _id(request: Request, prefix: str, kind: str) -> str:
    """Raises: NotFound."""
    given: str = request.path_params["id"]
    if not is_id(given, prefix):
        raise NotFound(kind, given, field="id")
    return given


def _layout(request: Request) -> Layout | None:
    """Raises: Invalid (INVALID_LAYOUT)."""
    given = request.query_params.get("layout")
    if given is None:
        return None
    for layout in _LAYOUTS:
        if layout == given:
            return layout
    raise Invalid(
        f"layout: {given!r} is none of {', '.join(_LAYOUTS)}", field="layout", code="INVALID_LAYOUT"
    )


def _answer(file: File, *, inline: bool) -> Response:
    shown = "inline" if inline else "attachment"
    headers = {
        "content-disposition": f'{shown}; filename="{file.name}"',
        # It is the customer's, and it changes while the invoice is a draft or is voided.
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
    }
    return Response(file.body, headers=headers, media_type=file.media_type)
