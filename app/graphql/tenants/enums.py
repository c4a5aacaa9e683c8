"""The domain's enums, described for the graph before any type names them."""

import strawberry

from app.tenants.api_key import ApiKeyStatus
from app.tenants.tenant import EnvironmentStatus, EnvironmentType, TenantStatus
from app.tenants.user import PrincipalStatus

strawberry.enum(ApiKeyStatus, description="Whether a key works.")
strawberry.enum(EnvironmentStatus, description="Whether an environment is in use.")
strawberry.enum(EnvironmentType, description="What an environment is for.")
strawberry.enum(PrincipalStatus, description="Whether somebody can act.")
strawberry.enum(TenantStatus, description="Whether a tenant can be changed.")

__all__ = [
    "ApiKeyStatus",
    "EnvironmentStatus",
    "EnvironmentType",
    "PrincipalStatus",
    "TenantStatus",
]
