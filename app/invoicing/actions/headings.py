"""What the lines of an invoice stand under, where the settings want more than their kinds."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from app.catalog.reads import features, groups, plans, prices
from app.customers import reads as customer_reads
from app.invoicing import reads
from app.invoicing.invoice import Invoice, InvoiceLine, Subscriber
from app.kernel.scope import Scope
from app.subscriptions import reads as subscriptions
from app.subscriptions.subscription import Subscription
from app.tenants.settings import Sections

# By the id of an invoice, and of a line item.
Headings = Mapping[str, Mapping[str, str]]


async def headings_of(
    scope: Scope,
    invoices: Collection[Invoice],
    by: Sections,
    *,
    lines: Mapping[str, Sequence[InvoiceLine]] | None = None,
) -> Headings:
    """The headings of the invoices' lines, by what the settings say; a line without one is absent.
    Those of a consolidated invoice stand under their subscriptions, whatever the settings say.

    The same statements however many invoices; none where lines stand under their kinds. `lines`,
    by the ids of their invoices, are read where they are not given.
    """
    wholes = {invoice.id for invoice in invoices if invoice.subscription_ids}
    wanted = wholes if by == "kind" else {invoice.id for invoice in invoices}
    if not wanted:
        return {}
    known = await reads.lines_of_invoices(scope, wanted) if lines is None else lines
    mine = {key: known[key] for key in wanted if key in known}
    apart = {key: each for key, each in mine.items() if by == "subscription" or key in wholes}
    rest = {key: each for key, each in mine.items() if key not in apart}
    found = await _by_subscription(scope, apart) if apart else {}
    return found | (await _by_group(scope, rest) if rest else {})


async def subscribers_of(
    scope: Scope, invoices: Collection[Invoice]
) -> dict[str, dict[str, Subscriber]]:
    """By the id of an invoice and of a subscription: whose it is, where the customer of the
    invoice pays for somebody else. One statement; every invoice is a key."""
    paid = {(key, invoice.customer_id) for invoice in invoices for key in invoice.owners}
    held = await subscriptions.held_by_others(scope, paid) if paid else {}
    return {
        invoice.id: {
            key: Subscriber(customer_id, name or external_id, external_id)
            for key in invoice.owners
            if key in held
            for customer_id, name, external_id in (held[key],)
            if customer_id != invoice.customer_id
        }
        for invoice in invoices
    }


async def _by_subscription(
    scope: Scope, lines: Mapping[str, Collection[InvoiceLine]]
) -> dict[str, dict[str, str]]:
    owners = {line.subscription_id for each in lines.values() for line in each}
    held = await subscriptions.by_ids(scope, {key for key in owners if key is not None})
    sold = await plans.by_ids(scope, {subscription.plan_id for subscription in held.values()})
    buyers = await _buyers(scope, lines, held)
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for invoice_id, each in lines.items():
        names = {key: plan.name for key, plan in sold.items()}
        mine = {line.subscription_id or "" for line in each}
        titles = titled({key: held[key] for key in mine if key in held}, names, customers=buyers)
        for line in each:
            if (title := titles.get(line.subscription_id or "")) is not None:
                found[invoice_id][line.place] = title
    return dict(found)


async def _buyers(
    scope: Scope,
    lines: Mapping[str, Collection[InvoiceLine]],
    held: Mapping[str, Subscription],
) -> dict[str, str]:
    """The names of whose subscriptions are on invoices with those of others, by their ids."""
    found: set[str] = set()
    for each in lines.values():
        owners = {line.subscription_id or "" for line in each}
        whose = {held[key].customer_id for key in owners if key in held}
        found |= whose if len(whose) > 1 else set()
    known = await customer_reads.by_ids(scope, found) if found else {}
    return {key: each.name or each.external_id for key, each in known.items()}


def titled(
    held: Mapping[str, Subscription],
    plan_names: Mapping[str, str],
    *,
    customers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """A title for each subscription: its plan's name, after that of its customer where there are
    several of them, numbered where several have it. Pure."""
    names = {key: plan_names.get(each.plan_id, each.plan_id) for key, each in held.items()}
    if len({each.customer_id for each in held.values()}) > 1:
        whose = customers or {}
        names = {
            key: f"{whose.get(held[key].customer_id, held[key].customer_id)}: {name}"
            for key, name in names.items()
        }
    times, seen = Counter(names.values()), Counter[str]()
    found = {}
    for key in sorted(held, key=lambda key: (held[key].starts_at, key)):
        name = names[key]
        seen[name] += 1
        found[key] = f"{name} ({seen[name]})" if times[name] > 1 else name
    return found


async def _by_group(
    scope: Scope, lines: Mapping[str, Collection[InvoiceLine]]
) -> dict[str, dict[str, str]]:
    wanted = {line.price_id for each in lines.values() for line in each if line.price_id}
    sold = await prices.by_ids(scope, wanted)
    measured = await features.by_ids(
        scope, {price.feature_id for price in sold.values() if price.feature_id}
    )
    # A price's own group goes before that of the feature it charges for.
    of_price = {
        key: price.group_id or (measured[price.feature_id].group_id if price.feature_id else None)
        for key, price in sold.items()
    }
    named = await groups.by_ids(scope, {group for group in of_price.values() if group})
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for invoice_id, each in lines.items():
        for line in each:
            group = named.get(of_price.get(line.price_id or "") or "")
            if group is not None and line.subscription_line_item_id is not None:
                found[invoice_id][line.subscription_line_item_id] = group.name
    return dict(found)
