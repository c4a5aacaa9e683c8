"""For any order of arrival, void and amend, and any closings and looks in between:
what was billed and all corrections come to the rating of all events."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.catalog.prices import Adjustments, Figures, Graduated, Package, PerUnit, Tier, Volume
from app.invoicing import actions, correction_reads, correction_run, explanation, reads
from app.invoicing.charges import charges_of
from app.invoicing.correcting import attached, corrections, less
from app.invoicing.correction import CorrectionPolicy
from app.invoicing.invoice import BillingReason, InvoiceLine, LineKind
from app.invoicing.manual import CreateInvoice, blank
from app.invoicing.rating import Counted, Fact, rate
from app.invoicing.remaining import remaining
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.subscriptions.periods import Service
from tests.invoicing.make import FEB, JAN, MAR, item, price
from tests.invoicing.test_billing import APR, bill
from tests.invoicing.test_billing import invoices as all_invoices
from tests.invoicing.test_corrections import finalize
from tests.invoicing.world import TIERS, build

D = Decimal
PERIODS = (Period(JAN, FEB), Period(FEB, MAR))
STEPS = (Tier(D(10), D("0.7")), Tier(D(25), D("0.3"), D(2)), Tier(None, D("0.05"), D(1)))
MODELS = st.sampled_from(
    [PerUnit(D("0.335")), Graduated(STEPS), Volume(STEPS), Package(D(3), D(7), "up", D(0))]
)
LIMITS = st.sampled_from([{}, {"minimum": D(4)}, {"maximum": D(9)}, {"free_units": D(5)}])
GROUPS = st.sampled_from([{}, {"group_by": ("region",)}, {"group_by": ("region",), "total": True}])
REGIONS = st.sampled_from(["eu", "us", None])
QUANTITIES = st.integers(0, 60).map(lambda n: D(n) / 4)
NUMBERS = st.integers(0, 4)
OPS = st.one_of(
    st.tuples(st.just("sent"), NUMBERS, QUANTITIES, REGIONS, st.sampled_from([0, 1])),
    st.tuples(st.just("amended"), NUMBERS, QUANTITIES, REGIONS),
    st.tuples(st.just("voided"), NUMBERS),
    st.tuples(st.sampled_from(["ahead", "close"]), st.sampled_from([0, 1])),
    st.tuples(st.just("look")),
)


@dataclass
class Book:
    """A subscription with one usage charge, its invoices, and what was corrected of them."""

    sold: object
    events: dict = field(default_factory=dict)  # id: (quantity, region, period, whether it counts)
    lines: dict = field(default_factory=lambda: defaultdict(list))  # of prices, by period
    closed: dict = field(default_factory=dict)  # the invoice of each period that was closed
    booked: list = field(default_factory=list)
    pending: list = field(default_factory=list)
    applied: list = field(default_factory=list)
    clock: int = 0

    def __post_init__(self):
        self.item = item(self.sold)

    def figures(self, period):
        groups = defaultdict(list)
        grouped = bool(self.sold.group_by)
        if not grouped:
            groups[()] = []
        for quantity, region, where, counts in self.events.values():
            if counts and where == period:
                groups[(region,) if grouped else ()].append(quantity)
        found = [Figures(sum(each, D(0)), len(each), group) for group, each in groups.items()]
        whole = None
        if grouped and self.sold.adjustments.tiers_per == "total":
            whole = Figures(sum((f.quantity for f in found), D(0)), sum(f.events for f in found))
        return Counted(found, whole)

    def rated(self, index, *, sold=None, until=None):
        whole = PERIODS[index]
        period = Period(whole.start, until or whole.end)
        fact = Fact(self.item, sold or self.sold, Service(period, whole), self.figures(index))
        return list(rate(fact))

    def invoice(self, index, reason):
        made = blank(CreateInvoice(customer_id="cus_1", lines=()), currency="USD",
                     timezone="UTC", at=JAN)  # fmt: skip
        return replace(made, subscription_id="sub_1", period=PERIODS[index], reason=reason)

    def bill(self, index, rated, reason):
        """An invoice of the lines, with what is pending as far as it goes."""
        invoice = self.invoice(index, reason)
        mine = [stored(invoice, place, line) for place, line in enumerate(rated, start=1)]
        self.lines[index] += mine
        lines, applied = attached(invoice, mine, self.pending)
        assert sum(line.amount for line in lines) >= min(0, sum(line.amount for line in mine))
        for line in lines:
            assert explanation.evaluate(line.explanation) == line.amount
        self.applied += applied
        self.pending = less(self.pending, applied)
        return invoice

    def do(self, op, *args):
        self.clock += 1
        getattr(self, op)(*args)

    def sent(self, key, quantity, region, period):
        self.events.setdefault(key, (quantity, region, period, True))

    def amended(self, key, quantity, region):
        if key in self.events:
            self.events[key] = (quantity, region, self.events[key][2], True)

    def voided(self, key):
        if key in self.events:
            self.events[key] = (*self.events[key][:3], False)

    def ahead(self, index):
        """A part of a period is billed before its end; what it costs at least counts later."""
        if index in self.closed:
            return
        sold = self.sold
        adjustments = Adjustments(
            free_units=sold.adjustments.free_units, maximum=sold.adjustments.maximum,
            tiers_per=sold.adjustments.tiers_per,
        )  # fmt: skip
        whole = PERIODS[index]
        until = whole.start + timedelta(days=1 + self.clock % 20)
        rated = self.rated(index, sold=replace(sold, adjustments=adjustments), until=until)
        period = Period(whole.start, until)
        fresh = remaining(rated, self.lines[index], period)
        self.bill(index, fresh, BillingReason.THRESHOLD)

    def close(self, index):
        if index not in self.closed:
            fresh = remaining(self.rated(index), self.lines[index], PERIODS[index])
            before = len(self.lines[index])
            invoice = self.bill(index, fresh, BillingReason.SUBSCRIPTION_CYCLE)
            self.closed[index] = invoice, self.lines[index][before:]

    def look(self):
        for index, (invoice, lines) in self.closed.items():
            (charge,) = charges_of(lines)
            earlier = [each for each in self.booked if each.invoice_id == invoice.id]
            found = corrections(
                charge, invoice, self.rated(index), earlier,
                as_of=JAN + timedelta(days=self.clock), policy=CorrectionPolicy.NEXT_INVOICE,
                at=JAN,
            )  # fmt: skip
            for each in found:
                assert explanation.evaluate(each.explanation) == each.amount
            self.booked += found
            self.pending += found


def stored(invoice, position, rated):
    return InvoiceLine(
        id=new_id("invl"), invoice_id=invoice.id, position=position, kind=rated.kind,
        subscription_id=invoice.subscription_id, subscription_line_item_id=rated.item_id,
        price_id=rated.price_id, meter_id=rated.meter_id,
        description=rated.description, group=rated.group, quantity=rated.quantity,
        amount=rated.amount, currency=rated.currency, service=rated.service, price=rated.price,
        explanation=explanation.to_json(rated.explanation),
    )  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(MODELS, LIMITS, GROUPS, st.lists(OPS, max_size=30))
def test_billed_and_corrections_are_the_rating_of_all_events(model, limits, groups, ops):
    groups = dict(groups)
    if groups.pop("total", False):
        limits = {**limits, "tiers_per": "total"}
    book = Book(price(model, adjustments=Adjustments(**limits), **groups))
    for op, *args in ops:
        book.do(op, *args)
    for index in range(len(PERIODS)):
        book.close(index)
    book.do("look")
    for index in range(len(PERIODS)):
        invoice, _ = book.closed[index]
        billed = sum((line.amount for line in book.lines[index]), D(0))
        corrected = sum((c.amount for c in book.booked if c.invoice_id == invoice.id), D(0))
        assert billed + corrected == sum((line.amount for line in book.rated(index)), D(0))
    # What was corrected is on invoices, or waits for one.
    on_invoices = sum((each.amount for each in book.applied), D(0))
    left = sum((each.remaining for each in book.pending), D(0))
    assert on_invoices + left == sum((c.amount for c in book.booked), D(0))


REAL = st.one_of(
    st.tuples(st.just("sent"), st.integers(1, 150), st.sampled_from(["eu", "us"]),
              st.integers(0, 58)),
    st.tuples(st.just("voided"), st.integers(0, 5)),
    st.tuples(st.just("amended"), st.integers(0, 5), st.integers(1, 150)),
    st.tuples(st.just("look")),
    st.tuples(st.just("close")),
)  # fmt: skip


@settings(
    deadline=None,
    max_examples=4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(REAL, min_size=6, max_size=14))
async def test_the_law_holds_on_real_servers(database, clickhouse, storage, ops):
    world = await build(clickhouse, storage)
    bought = await world.subscribe("acme")
    events, closings = {}, [FEB, MAR]
    now = JAN + timedelta(days=1)
    for op, *args in [*ops, ("close",), ("close",), ("look",)]:
        now += timedelta(hours=2)
        if op == "sent":
            amount, region, day = args
            at = JAN + timedelta(days=day)
            (key,) = await world.use("acme", [(at, str(amount), region)], accepted=now)
            events[key] = [D(amount), region, at, 0]
        elif op == "close" and closings:
            # The further into the past events lie, the more of them are late.
            now = max(now, closings.pop(0))
            await bill(world, now)
            await finalize(world, now)
        elif op == "look":
            world.clock.at = now
            await actions.look_again(world.scope, at=now)
            await correction_run.correct_page(world.services, world.page())
        elif op in ("voided", "amended") and events:
            key = list(events)[args[0] % len(events)]
            if events[key][3]:
                continue  # one correction each: their ids are the test's
            events[key][3] = 1
            if op == "voided":
                await world.void(key, now)
                events[key][0] = D(0)
            else:
                await world.amend(key, now, str(args[1]), "us")
                events[key][:2] = D(args[1]), "us"
    await compare(world, bought.id, events)


async def compare(world, subscription_id, events):
    lines = await reads.lines_of_invoices(
        world.scope, [invoice.id for invoice in await all_invoices(world)]
    )
    billed = [line for found in lines.values() for line in found if line.kind is not LineKind.FIXED]
    pending = await correction_reads.pending(world.scope, [subscription_id])
    for start, end in ((JAN, FEB), (FEB, MAR)):
        mine = [e for e in events.values() if start <= e[2] < end and end < APR]
        usage = sum((e[0] for e in mine), D(0))
        by_region = defaultdict(D)
        for amount, region, *_ in mine:
            by_region[region] += amount
        expected = Graduated(TIERS).amount(usage) + sum(
            round(amount / 1000 + D("0.000001"), 2) for amount in by_region.values()
        )
        asked = sum((line.amount for line in billed if start <= line.service.start < end), D(0))
        left = sum((c.remaining for c in pending if start <= c.service.start < end), D(0))
        assert asked + left == expected, (start, mine)
