from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg

from app.catalog.reads import prices
from app.customers import reads as customers
from app.customers.actions import lock_shared
from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.events import Event
from app.kernel.scope import Actor, Scope
from app.subscriptions import buying, committing, family, reads
from app.subscriptions.actions import own_prices
from app.subscriptions.actions.activate import move_lines
from app.subscriptions.actions.create import check_payer
from app.subscriptions.actions.rows import locked, save, told
from app.subscriptions.changes.drafts import edited
from app.subscriptions.changes.standing import running
from app.subscriptions.commitments import CommitmentTerms
from app.subscriptions.errors import CancellationIsPending, SubscriptionIsNotDraft
from app.subscriptions.events import SubscriptionUpdated
from app.subscriptions.periods import containing
from app.subscriptions.subscription import Held, Override, Subscription, SubscriptionStatus
from app.subscriptions.terms import changed_terms, check_end
from app.tenants import audit

_TERMS = frozenset(
    {
        "net_days",
        "collection_method",
        "purchase_order",
        "auto_invoice_threshold",
        "parent_pays",
        "family_usage",
        "lines_per_customer",
        "commitments",
    }
)
_OF_DRAFTS = frozenset(
    {
        "starts_at",
        "anchor",
        "trial_ends_at",
        "trial_days",
        "bill_trial_usage",
        "quantities",
        "overrides",
    }
)
_HOLD = (
    "UPDATE subscription_line_items AS l SET quantity = v.quantity, updated_at = $4 "
    "FROM unnest($5::text[], $6::numeric[]) AS v(id, quantity) "
    "WHERE l.tenant_id = $1 AND l.environment_id = $2 AND l.subscription_id = $3 "
    "AND l.id = v.id"
)


async def update(
    scope: Scope, subscription_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Subscription:
    """Change what `patch` holds; the rest stays as it is.

    `metadata` changes even when all is over; `ends_at` (in the future; None takes it off), the
    terms of payment and, with the next period, commitments and whose usage counts while it is
    not. Start, anchor, trial, quantities and prices of its own are those of a draft.
    Raises: Invalid, NotFound, SubscriptionIsOver, SubscriptionIsNotDraft, CancellationIsPending.
    """
    async with writing(scope) as connection:
        if patch.get("parent_pays"):
            # Before the subscription, as whoever changes the customer locks them.
            await lock_shared(scope, (await reads.get(scope, subscription_id)).customer_id)
        before = await locked(connection, scope, subscription_id)
        after = before
        if "metadata" in patch:
            after = replace(after, metadata=checks.metadata(patch["metadata"] or {}))
        if before.status is SubscriptionStatus.DRAFT:
            after = edited(after, patch, at=at)
            await move_lines(connection, scope, after, at=at)
            own = patch.get("overrides") or ()
            if "overrides" in patch:
                await own_prices.of_draft(connection, scope, after, own, by=by, at=at)
            if "quantities" in patch or own:
                wanted = patch.get("quantities") or ()
                await _hold(connection, scope, after, (wanted, own), by=by, at=at)
        else:
            after = _running(after, patch, at=at)
        after = replace(after, terms=changed_terms(after.terms, patch))
        if patch.get("parent_pays"):
            check_payer(after.terms, await customers.get(scope, after.customer_id))
        after = _family(after, patch, at=at)
        if "commitments" in patch:
            after = await _commit(scope, after, patch["commitments"] or (), at=at)
        events: list[Event] = [SubscriptionUpdated(**told(after), occurred_at=at)]
        return await save(scope, before, after, events, action="subscription.update", by=by, at=at)


def _running(subscription: Subscription, patch: Mapping[str, Any], *, at: datetime) -> Subscription:
    if patch.keys() & (_TERMS | _OF_DRAFTS | {"ends_at"}):
        status = running(subscription, at)
        if patch.keys() & _OF_DRAFTS:
            raise SubscriptionIsNotDraft(subscription.id, status.value)
    if "ends_at" not in patch:
        return subscription
    if subscription.cancellation is not None:
        raise CancellationIsPending(subscription.id, "endsAt")
    ends_at = patch["ends_at"]
    if ends_at is not None:
        check_end(ends_at, after=max(at, subscription.starts_at))
    return replace(subscription, ends_at=ends_at)


def _family(subscription: Subscription, patch: Mapping[str, Any], *, at: datetime) -> Subscription:
    """Another family usage: of a draft, or one that has not started, altogether; else from its
    next period on. Raises: Invalid."""
    if not patch.keys() & {"family_usage", "lines_per_customer"}:
        return subscription
    last = subscription.families[-1] if subscription.families else None
    last = None if last is None or last.ends_at is not None else last
    counts = checks.required(patch.get("family_usage", last is not None), "familyUsage")
    split = last is not None and last.per_customer and counts
    split = checks.required(patch.get("lines_per_customer", split), "linesPerCustomer")
    asked = family.wanted(counts, split)
    draft = subscription.status is SubscriptionStatus.DRAFT
    service = None if draft else containing(subscription, at)
    boundary = None if service is None else service.period.end
    found = family.changed(subscription.families, asked[0] if asked else None, boundary)
    return replace(subscription, families=found)


async def _commit(
    scope: Scope, subscription: Subscription, wanted: Sequence[CommitmentTerms], *, at: datetime
) -> Subscription:
    """Other commitments: of a draft, or one that has not started, altogether; else from its next
    period on. Raises: Invalid."""
    lines = (await reads.line_items(scope, [subscription.id]))[subscription.id]
    bought = await prices.by_ids(scope, [line.price_id for line in lines if line.ends_at is None])
    terms = committing.checked(wanted, list(bought.values()), subscription.cadence)
    draft = subscription.status is SubscriptionStatus.DRAFT
    found = committing.held(terms) if draft else committing.changed(subscription, terms, at=at)
    return replace(subscription, commitments=found)


async def _hold(
    connection: asyncpg.Connection,
    scope: Scope,
    draft: Subscription,
    wanted: tuple[Sequence[Held], Sequence[Override]],
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Let the lines of a draft hold these quantities; those not named stay as they are."""
    lines = (await reads.line_items(scope, [draft.id]))[draft.id]
    sold = await prices.by_ids(scope, [line.price_id for line in lines])
    catalogue = await prices.by_ids(scope, {price.catalogue_id for price in sold.values()})
    quantities, overrides = wanted
    found = buying.quantities(list(catalogue.values()), quantities, overrides)
    named = {each.price_id for each in quantities}
    named |= {each.price_id for each in overrides if each.quantity is not None}
    keys = {sold[line.price_id].catalogue_id: line for line in lines}
    held = {key: found[key] for key in named}
    ids = (scope.tenant_id, scope.environment_id, draft.id, at)
    await connection.execute(_HOLD, *ids, [keys[key].id for key in held], list(held.values()))
    old: dict[str, Decimal | None] = {key: keys[key].quantity for key in held}
    await audit.record(
        scope, by, "subscription.update_lines", draft.id, at=at, before=old, after=held
    )
