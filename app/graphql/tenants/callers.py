"""`me`: what the credentials of a request amount to."""

import strawberry

from app.graphql.context import Info
from app.graphql.permissions import authenticated
from app.graphql.tenants.audit_log import ActorKind
from app.graphql.tenants.enums import EnvironmentType
from app.graphql.tenants.service_accounts import ServiceAccount
from app.graphql.tenants.users import User
from app.tenants.caller import Caller
from app.tenants.reads import service_accounts, users


@strawberry.type(description="The tenant that a caller has entered.")
class EnteredTenant:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="Its name.")
    suspended: bool = strawberry.field(description="Whether it can only be read.")


@strawberry.type(description="The environment that a caller has entered.")
class EnteredEnvironment:
    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="Its name.")
    type: EnvironmentType = strawberry.field(description="What it is for.")


@strawberry.type(description="Who asks, where, and what they may.")
class Me:
    actor_kind: ActorKind = strawberry.field(description="What kind of actor it is.")
    actor_id: str = strawberry.field(description="As the audit log names it.")
    permissions: list[str] = strawberry.field(description="What the credentials allow now.")
    tenant: EnteredTenant | None = strawberry.field(
        description="Null for a system key that named none."
    )
    environment: EnteredEnvironment | None = strawberry.field(
        description="Null where none was named or none is open."
    )

    @strawberry.field(description="The user who is signed in; null for keys.")
    async def user(self, info: Info) -> User | None:
        if self.actor_kind is not ActorKind.USER:
            return None
        return User.of(await users.get(info.context.tenant_scope, self.actor_id))

    @strawberry.field(description="The service account that the key belongs to; null: none.")
    async def service_account(self, info: Info) -> ServiceAccount | None:
        if self.actor_kind is not ActorKind.SERVICE_ACCOUNT:
            return None
        scope = info.context.tenant_scope
        return ServiceAccount.of(await service_accounts.get(scope, self.actor_id))


@strawberry.type
class CallerQuery:
    @strawberry.field(
        description="Who the credentials belong to, where they lead and what they allow.",
        extensions=[authenticated()],
    )
    def me(self, info: Info) -> Me:
        caller = info.context.caller
        return Me(
            actor_kind=ActorKind(caller.actor.kind),
            actor_id=caller.actor.id,
            permissions=sorted(caller.permissions),
            tenant=_tenant(caller),
            environment=_environment(caller),
        )


def _tenant(caller: Caller) -> EnteredTenant | None:
    facts = caller.tenant
    if facts is None:
        return None
    return EnteredTenant(id=strawberry.ID(facts.id), name=facts.name, suspended=facts.suspended)


def _environment(caller: Caller) -> EnteredEnvironment | None:
    facts = caller.environment
    if facts is None:
        return None
    return EnteredEnvironment(id=strawberry.ID(facts.id), name=facts.name, type=facts.type)
