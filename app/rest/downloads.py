"""GET /v1/invoices/{id}/pdf: invoices as documents, drafts and void ones too."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.infra.telemetry import request_id
from app.invoicing import actions, reads
from app.kernel.errors import NotFound
from app.kernel.ids import is_id
from app.runtime import Runtime
from app.tenants.authentication import Authenticator, Caller, authenticate, credentials_of

Handler = Callable[[Request, Caller], Awaitable[Response]]

# Who may call each route: the permission it takes, in the environment of the caller.
POLICIES: Final[dict[tuple[str, str], str]] = {("GET", "/v1/invoices/{id}/pdf"): "invoice:read"}


class DownloadDoor:
    """Handles the routes that answer with documents; each checks its entry of `POLICIES`."""

    def __init__(self, runtime: Runtime, authenticator: Authenticator) -> None:
        self._runtime, self._authenticator = runtime, authenticator

    def routes(self) -> list[Route]:
        handlers: dict[tuple[str, str], Handler] = {
            ("GET", "/v1/invoices/{id}/pdf"): self.invoice_pdf
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

    async def invoice_pdf(self, request: Request, caller: Caller) -> Response:
        """200 with the document, named after the invoice's number, or its id without one."""
        scope = caller.environment_scope
        invoice_id = request.path_params["id"]
        if not is_id(invoice_id, "inv"):
            raise NotFound("invoice", invoice_id, field="id")
        invoice = await reads.get(scope, invoice_id)
        body = await actions.pdf(scope, invoice.id, self._runtime.storage)
        name = f"{invoice.number or invoice.id}.pdf".replace("/", "-")
        headers = {
            "content-disposition": f'inline; filename="{name}"',
            # It is the customer's, and it changes while the invoice is a draft or is voided.
            "cache-control": "private, no-cache",
        }
        return Response(body, headers=headers, media_type="application/pdf")
