"""Events voided and amended: the newest version counts, and every earlier one can be asked for."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from app.infra.kafka import Batch, open_producer
from app.kernel.copies import replace
from app.kernel.errors import Unavailable
from app.kernel.ids import new_id
from app.kernel.listing import PageRequest
from app.kernel.period import Period
from app.kernel.scope import SYSTEM
from app.metering import actions, derivation, event_versions, history, meters_usage, usage
from app.metering.aggregations import Count, CountUnique, Sum
from app.metering.consumer import EventStore
from app.metering.fields import read_fields
from app.metering.filters import Filters, Match
from app.metering.meter import CreateMeter
from app.metering.usage import Span
from app.metering.usage_updates import UsageHint, usage_hints
from tests.metering.correcting import Failing, Op, batch, content, fold, standing
from tests.metering.make import MARCH, T0
from tests.metering.make import meter as a_plain_meter
from tests.metering.streams import own_topics

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LATER = T0 + timedelta(days=60)  # when what the tests send is accepted
APRIL = Period(MARCH.end, datetime(2024, 5, 1, tzinfo=UTC))


@pytest.fixture
async def own(database, settings):
    return await own_topics(settings)


@pytest.fixture
async def producer(own):
    async with open_producer(own.kafka) as producer:
        yield producer


@pytest.fixture
def store(clickhouse, producer, clock):
    return EventStore(clickhouse, producer, clock=clock)


async def a_meter(scope, clickhouse, aggregation=None, **fields):
    command = CreateMeter(
        name="Calls", event_name="call", aggregation=aggregation or Sum("v"), **fields
    )
    meter = await actions.create(scope, command, by=SYSTEM, at=T0)
    return await actions.backfill(scope, clickhouse, meter.id, at=T0)


def sent(event_id="e1", at=LATER, **changes):
    return Op("sent", event_id, at, content(**changes))


def amended(event_id="e1", at=LATER + MINUTE, copy=1, **changes):
    return Op("amended", event_id, at, changes, copy)


def voided(event_id="e1", at=LATER + MINUTE, copy=1):
    return Op("voided", event_id, at, {}, copy)


async def quantity(clickhouse, scope, meter, customer="acme", period=MARCH, as_of=None):
    span = Span(customer, period)
    found = await usage.totals(scope, clickhouse, meter, [span], as_of=as_of)
    return found[span].quantity, found[span].event_count


async def test_a_voided_event_counts_no_more_and_is_listed_with_all_its_versions(
    store, clickhouse, scope
):
    meter = await a_meter(scope, clickhouse)
    await store.handle(batch(scope, sent(), sent("e2")))
    assert await store.handle(batch(scope, voided(), offset=2)) == []
    assert await quantity(clickhouse, scope, meter) == (1, 1)
    assert await quantity(clickhouse, scope, meter, as_of=LATER + MINUTE) == (2, 2)
    versions = (await event_versions.by_event(scope, clickhouse, ["e1", "e2"]))["e1"]
    assert [(one.version, one.kind, one.ingested_at, one.superseded_at) for one in versions] == [
        (1, "original", LATER, LATER + MINUTE),
        (2, "voided", LATER + MINUTE, None),
    ]
    last = versions[-1]
    assert (last.reason, last.actor_kind, last.actor_id, last.correction_id) == (
        "a test",
        "user",
        "usr_1",
        "c1",
    )
    assert (await history.get(scope, clickhouse, "e1")).kind == "voided"


@pytest.mark.parametrize(
    ("changes", "acme", "globex", "april"),
    [
        ({"properties": '{"v":40}'}, 40, 0, 0),
        ({"external_customer_id": "globex"}, 0, 1, 0),
        ({"timestamp": APRIL.start}, 0, 0, 1),
        ({"timestamp": T0 + timedelta(hours=2)}, 1, 0, 0),
        ({"event_name": "sms"}, 0, 0, 0),
        ({"properties": '{"v":"none"}'}, 0, 0, 0),
    ],
)
async def test_an_amended_event_counts_where_and_as_it_says_now(
    store, clickhouse, scope, changes, acme, globex, april
):
    meter = await a_meter(scope, clickhouse)
    await store.handle(batch(scope, sent()))
    await store.handle(batch(scope, amended(**changes), offset=1))
    for one in (meter, replace(meter, backfilled_at=None)):
        assert (await quantity(clickhouse, scope, one))[0] == acme
        assert (await quantity(clickhouse, scope, one, "globex"))[0] == globex
        assert (await quantity(clickhouse, scope, one, period=APRIL))[0] == april
        assert await quantity(clickhouse, scope, one, as_of=LATER + MINUTE) == (1, 1)
    asked = [(meter.id, Span(customer, MARCH)) for customer in ("acme", "globex")]
    together = await meters_usage.totals(scope, clickhouse, {meter.id: meter}, asked)
    alone = await meters_usage.totals(scope, clickhouse, {meter.id: meter}, asked[:1])
    assert [together[one].quantity for one in asked] == [acme, globex]
    assert alone[asked[0]].quantity == acme


async def test_a_later_copy_of_a_corrected_event_is_dropped_like_any_other(
    store, clickhouse, scope, producer, clock
):
    meter = await a_meter(scope, clickhouse)
    await store.handle(batch(scope, sent()))
    await store.handle(batch(scope, amended(properties='{"v":7}'), offset=1))
    fresh = EventStore(clickhouse, producer, clock=clock)
    await fresh.handle(batch(scope, sent(properties='{"v":900}'), offset=2))
    assert await quantity(clickhouse, scope, meter) == (7, 1)
    await fresh.handle(batch(scope, voided(copy=2, at=LATER + 2 * MINUTE), offset=3))
    await fresh.handle(batch(scope, sent(properties='{"v":900}'), offset=4))
    assert await quantity(clickhouse, scope, meter) == (0, 0)


async def test_an_amendment_brings_a_voided_event_back(store, clickhouse, scope):
    meter = await a_meter(scope, clickhouse)
    await store.handle(batch(scope, sent()))
    await store.handle(batch(scope, voided(), offset=1))
    back = amended(copy=2, at=LATER + 2 * MINUTE, external_customer_id="acme")
    await store.handle(batch(scope, back, offset=2))
    assert await quantity(clickhouse, scope, meter) == (1, 1)
    assert await quantity(clickhouse, scope, meter, as_of=back.at) == (0, 0)


async def test_corrections_at_the_same_time_keep_what_the_others_changed(store, clickhouse, scope):
    """Each applies to the version before it in the log, which none of them knew of."""
    meter = await a_meter(scope, clickhouse)
    ops = [
        sent(),
        amended(copy=1, at=LATER + 3 * MINUTE, properties='{"v":5}'),
        amended(copy=2, at=LATER + MINUTE, external_customer_id="globex"),
        amended(copy=3, at=LATER + 2 * MINUTE, timestamp=APRIL.start),
    ]
    await store.handle(batch(scope, *ops))
    assert await quantity(clickhouse, scope, meter, "globex", APRIL) == (5, 1)
    versions = (await event_versions.by_event(scope, clickhouse, ["e1"]))["e1"]
    # Stamps follow the order of the log: no version held before the one it was made from.
    assert [one.ingested_at for one in versions] == [LATER, *[LATER + 3 * MINUTE] * 3]
    assert [one.superseded_at for one in versions] == [*[LATER + 3 * MINUTE] * 3, None]


async def test_a_correction_of_no_event_is_a_dead_letter_and_changes_nothing(
    store, clickhouse, scope
):
    await store.handle(batch(scope, sent()))
    lost = batch(scope, voided("e9"), amended("e8", external_customer_id="x"), offset=1)
    letters = await store.handle(lost)
    assert [(one.reason, one.value) for one in letters] == [
        ("UNKNOWN_EVENT", lost.messages[0].value.strip()),
        ("UNKNOWN_EVENT", lost.messages[1].value.strip()),
    ]
    assert [row.version for row in (await history.page(scope, clickhouse, _all())).rows] == [1]


async def test_lines_that_are_no_corrections_are_poison_and_the_others_are_stored(
    store, clickhouse, scope
):
    meter = await a_meter(scope, clickhouse)
    await store.handle(batch(scope, sent()))
    good = batch(scope, voided(), offset=1).messages[0]
    bad = [
        b'{"correction_id":"c"}',
        good.value.strip().replace(b"2024-", b"2O24-"),
        b'{"tenant_id":"t"}',
        b"nonsense",
    ]
    mixed = replace(good, value=b"\n".join([bad[0], good.value.strip(), *bad[1:]]))
    letters = await store.handle(Batch("events", [mixed]))
    assert [one.value for one in letters] == bad
    assert {one.reason for one in letters} == {"NOT_AN_EVENT"}
    assert await quantity(clickhouse, scope, meter) == (0, 0)


async def test_a_new_meter_counts_corrected_events_as_they_stand_and_as_they_stood(
    store, clickhouse, scope
):
    await store.handle(batch(scope, sent(), sent("e2"), sent("e3")))
    changed = amended("e2", properties='{"v":10}')
    await store.handle(batch(scope, voided(), changed, offset=3))
    meter = await a_meter(scope, clickhouse)
    assert await quantity(clickhouse, scope, meter) == (11, 2)
    assert await quantity(clickhouse, scope, meter, as_of=LATER + MINUTE) == (3, 3)


async def test_lists_show_each_event_once_as_it_stands(store, clickhouse, scope):
    await store.handle(batch(scope, *(sent(f"e{n}") for n in range(5))))
    ops = [
        voided("e0"),
        amended("e1", external_customer_id="globex"),
        amended("e2", timestamp=APRIL.start),
        amended("e2", copy=2, timestamp=APRIL.start + DAY),
    ]
    await store.handle(batch(scope, *ops, offset=5))
    page = await history.page(scope, clickhouse, _all(with_total=True))
    assert page.total == 5
    assert [(row.event_id, row.version, row.kind) for row in page.rows] == [
        ("e2", 3, "amended"),
        ("e4", 1, "original"),
        ("e3", 1, "original"),
        ("e1", 2, "amended"),
        ("e0", 2, "voided"),
    ]


def _all(**request):
    return PageRequest(first=100, **request)


async def test_a_correction_is_announced_to_whom_it_leaves_and_whom_it_reaches(own, store, scope):
    await store.handle(batch(scope, sent()))
    moved = batch(scope, amended(external_customer_id="globex", event_name="sms"), offset=1)
    async with usage_hints(own.kafka) as hints:
        for _ in range(2):  # a copy too: after a crash it is all that is left to tell
            await store.handle(moved)
            async with asyncio.timeout(10):
                hint = await anext(hints)
            assert hint == UsageHint(
                scope.tenant_id, scope.environment_id, ["acme", "globex"], ["call", "sms"]
            )


# The law: however a log is cut into batches, repeated and broken off, every question about it
# is answered as if its lines had been folded one by one.

CONTENT = st.fixed_dictionaries(
    {
        "event_name": st.sampled_from(["call", "call", "call", "sms"]),
        "external_customer_id": st.sampled_from(["a", "b"]),
        "timestamp": st.sampled_from([MARCH.start, T0 + DAY, MARCH.end, APRIL.end - MINUTE]),
        "properties": st.sampled_from(
            ['{"v":1,"r":"eu"}', '{"v":2.5,"r":"us"}', '{"v":2.5,"r":"eu"}', '{"v":"x"}', "{}"]
        ),
    }
)
CHANGES = st.builds(
    lambda values, names: {name: values[name] for name in names},
    CONTENT,
    st.sets(st.sampled_from(sorted(content())), min_size=1),
)
EVENT_IDS = st.sampled_from(["e1", "e2", "e3"])
STAMPS = st.integers(0, 5).map(lambda n: LATER + n * MINUTE)
OPS = st.one_of(
    st.builds(Op, st.just("sent"), EVENT_IDS, STAMPS, CONTENT),
    st.builds(Op, st.just("amended"), EVENT_IDS, STAMPS, CHANGES, st.integers(0, 9)),
    st.builds(Op, st.just("voided"), EVENT_IDS, STAMPS, st.just({}), st.integers(0, 9)),
)
# How the log is read: so many lines at a time, breaking off at which write, and read twice.
CUTS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 7), st.booleans()), min_size=12)


@hypothesis(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.builds(Op, st.just("sent"), EVENT_IDS, STAMPS, CONTENT), min_size=1, max_size=3),
    st.lists(OPS, min_size=2, max_size=10),
    CUTS,
    st.integers(0, 6).map(lambda n: LATER + n * MINUTE),
)
async def test_figures_as_of_any_watermark_are_the_fold_of_what_was_accepted_by_then(
    clickhouse, producer, clock, counting, first, then, cuts, as_of
):
    scope, meters = counting
    ops = list(apart([*first, *then], new_id("evt")))
    await read_log(scope, clickhouse, producer, clock, ops, cuts)
    new = a_plain_meter(Count(), dimensions=("r",))
    await derivation.backfill(scope, clickhouse, new)
    events = fold(ops)
    for meter in (*meters, new, replace(new, backfilled_at=None)):
        for at in (None, as_of):
            await agrees(scope, clickhouse, meter, ops, list(standing(events, at).values()), at)


@pytest.fixture
async def counting(scope, clickhouse):
    """A scope, and meters that the consumer knows."""
    eu = Filters(include=(Match("r", ("eu",)),))
    return scope, [
        await a_meter(scope, clickhouse, Sum("v"), dimensions=("r",)),
        await a_meter(scope, clickhouse, CountUnique("v"), filters=eu),
    ]


def apart(ops, own):
    """The log with events and customers of its own; nobody corrects what was not sent before."""
    known = set()
    for op in ops:
        changes = dict(op.changes)
        if "external_customer_id" in changes:
            changes["external_customer_id"] += own
        if op.kind == "sent":
            known.add(op.event_id)
        if op.event_id in known:
            yield replace(op, event_id=op.event_id + own, changes=changes)


async def read_log(scope, clickhouse, producer, clock, ops, cuts):
    """What consumers do with a log that one after the other dies over, or reads twice."""
    at = 0
    for size, breaks, twice in cuts:
        part = batch(scope, *ops[at : at + size], offset=at)
        if not part.messages:
            return
        store = EventStore(Failing(clickhouse, breaks), producer, clock=clock)
        try:
            await store.handle(part)
        except Unavailable:
            continue  # read again, by the next and perhaps in other portions
        if twice:
            await EventStore(clickhouse, producer, clock=clock).handle(part)
        at += size
    while at < len(ops):
        await EventStore(clickhouse, producer, clock=clock).handle(
            batch(scope, *ops[at : at + 3], offset=at)
        )
        at += 3


async def agrees(scope, clickhouse, meter, ops, expected, as_of):
    customers = {op.changes.get("external_customer_id", "") for op in ops} - {""}
    spans = [Span(customer, period) for customer in customers for period in (MARCH, APRIL)]
    names = meter.dimensions
    found = await usage.grouped(scope, clickhouse, meter, spans, group_by=names, as_of=as_of)
    for span in spans:
        groups: dict = {}
        for one in expected:
            fields = read_fields(one["properties"])
            row = meter.counted(fields)
            if (
                row is not None
                and one["event_name"] == "call"
                and one["external_customer_id"] == span.external_customer_id
                and span.period.contains(one["timestamp"])
            ):
                groups.setdefault(tuple(fields.get(name) for name in names), []).append(row)
        assert {part.group: (part.quantity, part.event_count) for part in found[span]} == {
            group: (meter.aggregation.total(rows), len(rows)) for group, rows in groups.items()
        }
