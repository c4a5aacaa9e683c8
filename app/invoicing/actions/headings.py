"""What the lines of an invoice stand under, where the settings want more than their kinds."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from app.catalog.reads import features, groups, plans, prices
from app.invoicing import reads
from app.invoicing.invoice import Invoice, InvoiceLine
from app.kernel.scope import Scope
from app.subscriptions import reads as subscriptions
from app.subscriptions.subscription import Subscription
from app.tenants.settings import Sections

# By the id of an invoice, and of a line item.
Headings = Mapping[str, Mapping[str, str]]


async def headings_of(scope: Scope, invoices: Collection[Invoice], by: Sections) -> Headings:
    """The headings of the invoices' lines, by what the settings say; a line without one is absent.

    The same statements however many invoices; none where lines stand under their kinds.
    """
    if by == "kind" or not invoices:
        return {}
    lines = await reads.lines_of_invoices(scope, [invoice.id for invoice in invoices])
    named = _by_subscription if by == "subscription" else _by_group
    return await named(scope, lines)


async def _by_subscription(
    scope: Scope, lines: Mapping[str, Collection[InvoiceLine]]
) -> dict[str, dict[str, str]]:
    items = await subscriptions.line_items_by_ids(scope, _items(lines.values()))
    held = await subscriptions.by_ids(scope, {item.subscription_id for item in items.values()})
    sold = await plans.by_ids(scope, {subscription.plan_id for subscription in held.values()})
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for invoice_id, each in lines.items():
        mine = {
            line.subscription_line_item_id: items[line.subscription_line_item_id].subscription_id
            for line in each
            if line.subscription_line_item_id in items
        }
        names = {key: plan.name for key, plan in sold.items()}
        titles = titled({key: held[key] for key in mine.values() if key in held}, names)
        for item_id, subscription_id in mine.items():
            if item_id is not None and subscription_id in titles:
                found[invoice_id][item_id] = titles[subscription_id]
    return dict(found)


def titled(held: Mapping[str, Subscription], plan_names: Mapping[str, str]) -> dict[str, str]:
    """A title for each subscription: its plan's name, numbered where several have it. Pure."""
    names = {key: plan_names.get(each.plan_id, each.plan_id) for key, each in held.items()}
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


def _items(lines: Iterable[Collection[InvoiceLine]]) -> set[str]:
    return {
        line.subscription_line_item_id
        for each in lines
        for line in each
        if line.subscription_line_item_id is not None
    }
