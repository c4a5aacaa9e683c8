"""What every resolver may reach, and nothing else."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

import strawberry

from app.graphql.hub import Hub
from app.graphql.loaders import Loaders
from app.graphql.presents import Presents
from app.kernel.copies import replace
from app.kernel.errors import Unauthenticated
from app.kernel.scope import Actor, Scope
from app.runtime import Runtime
from app.tenants.caller import Caller


@dataclass(frozen=True, slots=True)
class Context:
    """One request. `load` and `scope` are pinned to the caller's environment.

    `anybody` is the caller, or None where the request came without credentials; all but
    public fields use `caller`. Subscriptions watch `hub`.
    """

    anybody: Caller | None
    runtime: Runtime
    request_id: str
    hub: Hub = field(default_factory=Hub)
    _loaders: list[Loaders] = field(default_factory=list, repr=False)
    _presents: list[Presents] = field(default_factory=list, repr=False)

    @property
    def caller(self) -> Caller:
        """Who asks. Raises: Unauthenticated."""
        if self.anybody is None:
            raise Unauthenticated(
                "this takes credentials: send an API key in x-api-key, or an access token in "
                "Authorization"
            )
        return self.anybody

    @property
    def actor(self) -> Actor:
        """Who acts, tied to this request for the audit log. Raises: Unauthenticated."""
        return replace(self.caller.actor, request_id=self.request_id)

    @property
    def scope(self) -> Scope:
        """The environment the caller works in. Raises: Unauthenticated, Denied."""
        return self.caller.environment_scope

    @property
    def tenant_scope(self) -> Scope:
        """For what belongs to the tenant as a whole. Raises: Unauthenticated, Denied."""
        return self.caller.tenant_scope

    @property
    def load(self) -> Loaders:
        """The loaders of this request, made at the first use."""
        if not self._loaders:
            # Callers without an environment still reach what belongs to the whole tenant.
            scope = self.caller.scope or self.tenant_scope
            self._loaders.append(Loaders(scope, self.runtime.clickhouse))
        return self._loaders[0]

    def forget(self) -> None:
        """Let the loaders read anew: the next event of a subscription begins."""
        self._loaders.clear()
        self._presents.clear()

    @property
    def present(self) -> Presents:
        """What time it is for a customer, a subscription, an invoice: each may have its own."""
        if not self._presents:
            self._presents.append(Presents(self.anybody, self.runtime.clock))
        return self._presents[0]

    def now(self) -> datetime:
        """The present instant in the caller's environment, for what belongs to no customer.

        Raises: ClockAdvancing, in a mutation while the environment's clock is under way.
        """
        return self.present.environment()


Info: TypeAlias = strawberry.Info[Context, None]
