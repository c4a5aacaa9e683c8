"""The seller's logo in the graph."""

import base64
import binascii
from typing import Annotated

import strawberry

from app.graphql.context import Info
from app.graphql.permissions import requires
from app.graphql.tenants.acting import recording
from app.graphql.tenants.settings import EnvironmentSettings, SettingsResult
from app.invoicing import actions
from app.invoicing.actions.branding import MOST_BYTES
from app.kernel import checks


@strawberry.input(description="The image to print on what is issued from now on.")
class SellerLogoSetInput:
    image: str | None = strawberry.field(
        description=f"A PNG or JPEG in base64, of at most {MOST_BYTES:,} bytes; null: none."
    )

    def decoded(self) -> bytes | None:
        """Raises: Invalid (INVALID_IMAGE)."""
        if self.image is None:
            return None
        try:
            return base64.b64decode(self.image, validate=True)
        except (binascii.Error, ValueError):
            raise checks.invalid("image", "is not base64") from None


@strawberry.type
class BrandingMutation:
    @strawberry.mutation(
        description="Print another logo on invoices and credit notes issued from now on, or none.",
        extensions=[requires("setting:write")],
    )
    async def seller_logo_set(
        self,
        info: Info,
        input: Annotated[SellerLogoSetInput, strawberry.argument(description="The image.")],
    ) -> SettingsResult:
        ctx = info.context
        row = await actions.set_logo(
            ctx.scope, input.decoded(), ctx.runtime.storage, **recording(ctx)
        )
        return EnvironmentSettings.of(row)
