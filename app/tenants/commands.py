"""Inputs of this domain's actions. A patch is a mapping of only the fields to change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.tenants.tenant import EnvironmentType


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTenant:
    """`owner` None: nobody can sign in yet; keys work."""

    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    owner: "CreateUser | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEnvironment:
    name: str
    type: EnvironmentType


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser:
    """`roles`: names of built-in roles and ids of the tenant's own."""

    email: str
    name: str
    password: str = field(repr=False)
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteUser:
    email: str
    name: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptInvitation:
    token: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateServiceAccount:
    name: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRole:
    name: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApiKey:
    """`expires_at` None: never. `service_account_id` None: the key acts for itself."""

    name: str
    permissions: tuple[str, ...]
    expires_at: datetime | None = None
    service_account_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    tenant: str
    email: str
    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn:
    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    current: str = field(repr=False)
    new: str = field(repr=False)
