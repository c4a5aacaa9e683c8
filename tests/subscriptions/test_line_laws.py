"""Whatever is changed of lines and when: what takes over from each other tiles the time, every
instant has the price and the quantity that were asked for last, and money follows."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.addon import Addon, AddonStatus, AddonType
from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.price import Billing, InvoiceTiming, Price
from app.catalog.price_override import PriceOverride, instead
from app.catalog.prices import PerUnit, content_hash
from app.invoicing.bills import again, due
from app.invoicing.invoice import BillingReason
from app.kernel.copies import replace
from app.kernel.errors import DomainError
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.change import AttachAddon, ChangeAddonQuantity, ChangeQuantity
from app.subscriptions.changes import addons
from app.subscriptions.changes.lines import (
    Priced,
    fixed_amount,
    in_force,
    repriced,
    requantified,
    swapped,
)
from app.subscriptions.changes.standing import refreshed
from app.subscriptions.holding import Holding
from app.subscriptions.periods import Service
from app.subscriptions.proration import prorated, share
from tests.subscriptions import make

D = Decimal
JAN, FEB = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2))
JANUARY = Period(JAN, FEB)
SECONDS = 31 * 86_400
instants = st.lists(st.integers(1, SECONDS - 1), min_size=1, max_size=8, unique=True).map(
    lambda found: [JAN + timedelta(seconds=second) for second in sorted(found)]
)
LISTED = replace(make.price(), model=PerUnit(D(10)), content_hash=content_hash("10"))


def own_price(price: Price, amount: int, at: datetime) -> Price:
    """As `own_prices.of_line` has it: what comes to the catalogue's is the catalogue's."""
    terms = PriceOverride(model=PerUnit(D(amount)))
    own = instead(price, terms, subscription_id="sub_1", starts_at=at, at=at)
    own = replace(own, content_hash=content_hash(str(amount)))
    return LISTED if own.content_hash == LISTED.content_hash else own


def attempt(verb, *args, at: datetime):
    """What it makes of the lines, or the code of its refusal."""
    try:
        return verb(*args, at=at), None
    except DomainError as refusal:
        return None, refusal.code


def tiled(lines: list[Priced]) -> list[Priced]:
    """The lines of one charge, in order: without a gap, and without an overlap."""
    mine = sorted(lines, key=lambda each: each[0].starts_at)
    for (before, _), (after, _) in pairwise(mine):
        assert (before.ends_at, before.id) == (after.starts_at, after.replaces_id)
        assert before.line_key == after.line_key
    return mine


@settings(deadline=None, max_examples=60)
@given(instants, st.data())
def test_a_line_is_priced_by_what_was_asked_for_last(found, data):
    line = make.line(id="sli_1", line_key="sli_1", price_id=LISTED.id, quantity=D(2))
    lines: list[Priced] = [(line, LISTED)]
    model = [(JAN, 10, 2)]  # from when on, at what price, and how much is held
    for at in found:
        _, amount, held = model[-1]
        current = in_force(lines, "sli_1", at)
        verb = data.draw(st.sampled_from(["price", "price", "restore", "quantity"]))
        wanted = data.draw(st.integers(7, 12))
        if verb == "quantity":
            command = ChangeQuantity(line_item_id="sli_1", quantity=D(wanted))
            swap, refused = attempt(requantified, lines, command, at=at)
            after = (at, amount, wanted)
        else:
            wanted = 10 if verb == "restore" else wanted
            price = LISTED if verb == "restore" else own_price(current[1], wanted, at)
            swap, refused = attempt(repriced, current, price, None, at=at)
            after = (at, wanted, held)
        assert refused == ("NOTHING_CHANGES" if after[1:] == (amount, held) else None)
        if refused:
            continue
        lines = swapped(lines, swap, at=at)
        model.append(after)
    mine = tiled(lines)
    assert [(x.starts_at, p.model.unit_amount, x.quantity) for x, p in mine] == model
    assert mine[-1][0].ends_at is None
    for at in [JAN, *found, FEB]:
        ((current, price),) = [each for each in lines if each[0].covers(at)]
        expected = max(step for step in model if step[0] <= at)
        assert (price.model.unit_amount, current.quantity) == expected[1:]
        # At the catalogue's terms it has the catalogue's price, and its own is always of it.
        assert price.catalogue_id == LISTED.id
        assert (price.id == LISTED.id) == (expected[1] == 10)
    # The parts of the period that each has come to the whole, and to the price weighted by time.
    parts = []
    for current, price in mine:
        period = Period(current.starts_at, min(current.ends_at or FEB, FEB))
        parts.append((fixed_amount([(current, price)], price.cadence), Service(period, JANUARY)))
    assert sum(share(service) for _, service in parts) == 1
    until = [step[0] for step in model[1:]] + [FEB]
    weighted = sum(
        Fraction(amount * held) * Fraction((end - since) / JANUARY.length)
        for (since, amount, held), end in zip(model, until, strict=True)
    )
    charged = sum(prorated(amount, service) for amount, service in parts)
    assert abs(charged - weighted) < Fraction(1, 10**9)


@settings(deadline=None, max_examples=40)
@given(instants, st.data())
def test_in_arrears_every_instant_is_billed_once_by_the_line_of_its_time(found, data):
    """And what is charged in advance is asked for again from the change on, at its price."""
    arrears = data.draw(st.booleans())
    timing = InvoiceTiming.ARREARS if arrears else InvoiceTiming.ADVANCE
    listed = replace(LISTED, timing=timing)
    subscription = make.row(anchor=JAN)
    lines: list[Priced] = [(make.line(id="sli_1", line_key="sli_1", price_id=listed.id), listed)]
    changed_at = []
    for at in found:
        current = in_force(lines, "sli_1", at)
        own = replace(own_price(current[1], 100 + len(lines), at), timing=timing)
        lines = swapped(lines, repriced(current, own, None, at=at), at=at)
        changed_at.append(at)
    subscription = replace(subscription, changed_at=tuple(changed_at))
    subject = BillableSubscription(refreshed(subscription), tuple(lines))
    bills = due(subject, FEB, limit=1000)
    entries = [e for bill in bills for e in bill.entries if e.service.period.start < FEB]
    entries.sort(key=lambda e: e.service.period.start)
    if arrears:
        assert [e.service.period for e in entries] == [
            Period(a, b) for a, b in pairwise([JAN, *found, FEB])
        ]
        assert sum(share(e.service) for e in entries) == 1
        (cycle,) = [b for b in bills if b.reason is BillingReason.SUBSCRIPTION_CYCLE]
        assert again(subject, cycle.reason, cycle.period).entries == cycle.entries
    else:
        # Asked for until the end of the period; what is not used of it is given back.
        assert [e.service.period for e in entries] == [Period(at, FEB) for at in [JAN, *found]]
    for entry in entries:
        assert entry.item.starts_at <= entry.service.period.start
        assert entry.price.id == entry.item.price_id


ADDON = Addon(
    id="addon_1", name="Support", lookup_key="support", type=AddonType.RECURRING, description=None,
    metadata={}, status=AddonStatus.ACTIVE, created_at=JAN, updated_at=JAN, archived_at=None,
)  # fmt: skip
FEE = replace(LISTED, id="pri_fee", plan_id=None, plan_version_id=None, addon_id="addon_1")
SETUP = replace(FEE, id="pri_setup", billing=Billing.ONE_TIME)


def held_of(key: str, before: Holding | None, quantity: int, at: datetime, ends_at=None) -> Holding:
    holding_id = key if before is None else new_id("hold")
    return Holding(
        id=holding_id, subscription_id="sub_1", owner=Owner(OwnerKind.ADDON, "addon_1"),
        quantity=D(quantity), entitlement_ids=(), starts_at=at, ends_at=ends_at, created_at=at,
        updated_at=at, key=key,
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(instants, st.data())
def test_addons_are_held_as_asked_for_and_their_lines_with_them(found, data):
    """Two can be held of one addon at once; each is charged, and let go, for itself."""
    subscription = refreshed(make.row(anchor=JAN))
    lines: list[Priced] = []
    holdings: list[Holding] = []
    model: dict[str, list[tuple[datetime, int]]] = {}  # what is held of each, 0 once let go

    def end(key, at):
        for place, each in enumerate(holdings):
            if each.key == key and each.covers(at):
                holdings[place] = replace(each, ends_at=at)
                return each
        raise AssertionError(key)

    for at in found:
        quantity = data.draw(st.integers(1, 3))
        key = data.draw(st.sampled_from([None, *model]))
        if key is None:
            command = AttachAddon(addon_id="addon_1", quantity=D(quantity))
            offered = [FEE, SETUP]
            swap = addons.attached(
                subscription, ADDON, command, offered=offered, holdings=holdings, at=at
            )
            holdings.append(held_of(swap.holding_id, None, quantity, at))
            model[swap.holding_id] = [(at, quantity)]
        elif model[key][-1][1] == 0:
            assert attempt(addons.held, holdings, key, at=at) == (None, "ADDON_NOT_HELD")
            continue
        else:
            holding = addons.held(holdings, key, at=at)
            assert holding.quantity == model[key][-1][1]
            if data.draw(st.booleans()):
                swap = addons.detached(lines, holding, at=at)
                end(key, at)
                model[key].append((at, 0))
                # No more ends than what is in force of it.
                assert {line.holding_id for line, _ in swap.closed} == {key}
                assert swap.opened == ()
            else:
                command = ChangeAddonQuantity(holding_id=key, quantity=D(quantity))
                swap, refused = attempt(addons.rescaled, lines, holding, command, at=at)
                assert refused == ("NOTHING_CHANGES" if quantity == holding.quantity else None)
                if refused:
                    continue
                holdings.append(held_of(key, end(key, at), quantity, at))
                model[key].append((at, quantity))
        lines = swapped(lines, swap, at=at)
    for key, steps in model.items():
        fees = tiled([x for x in lines if x[0].holding_id == key and x[1].id == FEE.id])
        kept = [step for step in steps if step[1]]
        assert [(line.starts_at, line.quantity) for line, _ in fees] == kept
        ended = None if steps[-1][1] else steps[-1][0]
        assert fees[-1][0].ends_at == ended
        # What is charged once is charged for the first quantity, whatever follows.
        ((once, _),) = [x for x in lines if x[0].holding_id == key and x[1].id == SETUP.id]
        assert (once.starts_at, once.quantity, once.ends_at) == (*steps[0], ended)
        for at in [JAN, *found, FEB]:
            mine = [h for h in holdings if h.key == key and h.covers(at)]
            now = max((step for step in steps if step[0] <= at), default=(at, 0))[1]
            assert [h.quantity for h in mine] == [now][: bool(now)]
            charged = [line for line, _ in fees if line.covers(at)]
            assert [line.quantity for line in charged] == [now][: bool(now)]
