"""The decoder of events: the quick way and the thorough way agree, and neither changes a byte."""

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from app.config import Ingest
from app.kernel.errors import Invalid
from app.kernel.scope import Scope
from app.metering import event as events
from app.metering.event import Limits, decode_bulk, decode_one
from app.metering.event_properties import depth, has_repeated_key
from app.metering.ingest import envelopes, milliseconds
from app.metering.ingest_rate import IngestRate
from app.metering.storage import read_envelope
from app.tenants.settings import EventSettings
from tests.metering.streams import AT, event

LIMITS = Limits.of(Ingest(), at=AT)

texts = st.text(max_size=12) | st.sampled_from([" a", "a\u007f", "a\u0085", "x" * 255, "x" * 256])
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=8) | st.just("a:b")
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def moments(first, last, **options):
    """Naive, as Hypothesis takes its bounds."""
    bounds = (datetime.fromisoformat(first), datetime.fromisoformat(last))
    return st.datetimes(*bounds, **options)


stamps = moments("1999-12-01", "2024-07-01", timezones=st.sampled_from([None, UTC])).map(
    lambda at: at.isoformat()
)
submissions = st.fixed_dictionaries(
    {},
    optional={
        "event_name": texts | scalars,
        "external_customer_id": texts | scalars,
        "event_id": texts | scalars,
        "customer_id": texts,
        "source": texts,
        "timestamp": stamps | scalars,
        "properties": st.dictionaries(st.text(max_size=4), values, max_size=4) | values,
        "unknown": scalars,
    },
)
likely = st.builds(
    lambda n, change: event(n, **change),
    st.integers(0, 99),
    st.fixed_dictionaries(
        {}, optional={"properties": st.dictionaries(st.text(max_size=4), values, max_size=4)}
    ),
)


REFUSALS = {None, "MALFORMED_JSON", "INVALID_EVENTS", "NO_EVENTS", "UNKNOWN_FIELD"}


def answered(decode, body):
    """What the decoder found, or the code of its refusal."""
    try:
        return decode(body, LIMITS), None
    except Invalid as error:
        return None, error.code


@settings(max_examples=400, deadline=None)
@given(st.lists(likely | submissions | scalars, min_size=1, max_size=4), st.booleans())
def test_the_quick_way_and_the_thorough_way_agree(sent, plain):
    body = json.dumps({"events": sent}, ensure_ascii=plain).encode(errors="replace")
    quick, refusal = answered(decode_bulk, body)
    assert refusal in (None, "MALFORMED_JSON")
    if quick is None:
        return
    thorough = events._one_by_one(events._raw_events(body), LIMITS)
    assert quick.faults == thorough.faults
    assert quick.events == thorough.events


@settings(max_examples=300, deadline=None)
@given(st.lists(likely, min_size=1, max_size=6), st.sampled_from([None, 1]))
def test_properties_reach_the_store_byte_for_byte_but_for_line_breaks(sent, indent):
    unique = list({one["event_id"]: one for one in sent}.values())
    body = json.dumps({"events": unique}, indent=indent, ensure_ascii=False).encode()
    decoded = decode_bulk(body, LIMITS)
    assert decoded.faults == []
    _, shares = envelopes(Scope("t", "e"), decoded.events, partitions=3, at=AT)
    rows = {}
    for share in shares.values():
        found, faulty = read_envelope(share, 0)
        assert faulty == []
        rows |= {row.line.event_id: row for row in found}
    for one in unique:
        line = rows[one["event_id"]].line
        assert json.loads(bytes(line.properties)) == one["properties"]
        expected = json.dumps(one["properties"], indent=indent, ensure_ascii=False)
        assert bytes(line.properties).decode().replace(" ", "") == expected.replace(
            "\n", ""
        ).replace(" ", "")


@given(st.text(alphabet='{}[]":,\\a1 ', max_size=30))
def test_a_repeated_key_is_never_missed(text):
    """Against the standard library, on whatever of this alphabet happens to be an object."""
    raw = text.encode()
    try:
        decoded = msgspec.json.decode(raw, type=dict[str, object])
    except msgspec.DecodeError:
        return
    assert has_repeated_key(raw, decoded) == _repeats(text)


PAIRS = st.lists(
    st.tuples(st.sampled_from(['"a"', '"b:"', '"\\u0061"', '"c"']), values), max_size=4
)


@given(PAIRS)
def test_repeated_keys_are_told_from_colons_in_texts(pairs):
    text = "{" + ",".join(f"{key}:{json.dumps(value)}" for key, value in pairs) + "}"
    decoded = msgspec.json.decode(text, type=dict[str, object])
    assert has_repeated_key(text.encode(), decoded) == _repeats(text)


def _repeats(text):
    repeated = False

    def pairs(found):
        nonlocal repeated
        names = [name for name, _ in found]
        repeated |= len(set(names)) != len(names)
        return dict(found)

    json.loads(text, object_pairs_hook=pairs)
    return repeated


@given(values)
def test_depth_is_that_of_the_value(value):
    def deep(one):
        if isinstance(one, dict):
            return 1 + max(map(deep, one.values()), default=0)
        return 1 + max(map(deep, one), default=0) if isinstance(one, list) else 0

    assert depth(json.dumps(value).encode()) == deep(value)


@given(st.binary(max_size=60))
def test_no_bytes_whatever_make_the_decoder_fail(body):
    for decode in (decode_bulk, decode_one):
        _, refusal = answered(decode, body)
        assert refusal in REFUSALS


@given(moments("2000-01-02", "2100-01-01"), st.integers(-14 * 60, 14 * 60))
def test_instants_are_cut_not_rounded(naive, minutes):
    at = naive.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    text = milliseconds(at)
    back = datetime.fromisoformat(text).replace(tzinfo=UTC)
    assert timedelta(0) <= at - back < timedelta(milliseconds=1)
    assert len(text) == 23


def test_the_bounds_of_timestamps_are_inclusive():
    for stamp, codes in (
        ("2024-06-15T13:00:00Z", []),
        ("2024-06-15T13:00:00.000001Z", ["TIMESTAMP_IN_FUTURE"]),
        ("2000-01-01T00:00:00Z", []),
        ("1999-12-31T23:59:59.999999Z", ["TIMESTAMP_TOO_OLD"]),
    ):
        decoded = decode_one(msgspec.json.encode(event(1, timestamp=stamp)), LIMITS)
        assert [fault.code for fault in decoded.faults] == codes


def test_deeply_nested_json_is_refused_and_does_not_exhaust_the_stack():
    for depth_ in (33, 1_000, 100_000):
        body = b'{"event_name":"a","external_customer_id":"b","properties":{"x":'
        body += b"[" * depth_ + b"]" * depth_ + b"}}"
        decoded, refusal = answered(decode_one, body)
        codes = [fault.code for fault in decoded.faults] if decoded else [refusal]
        assert codes == ["PROPERTIES_TOO_DEEP" if depth_ < 900 else "MALFORMED_JSON"]


def test_an_envelope_with_trailing_blanks_is_still_an_event():
    row = envelopes(Scope("t", "e"), decode_one(_one(), LIMITS).events, partitions=1, at=AT)[1][0]
    found, faulty = read_envelope(row.rstrip() + b"  \n\n", 0)
    assert (len(found), faulty) == (1, [])


def _one():
    return msgspec.json.encode(event(1))


def test_raw_values_outlive_the_request():
    decoded = decode_one(_one(), LIMITS)
    assert isinstance(decoded.events[0].properties, Raw)
    assert bytes(decoded.events[0].properties) == b'{"tokens":1}'


@pytest.mark.parametrize("per_second", [0, 5])
def test_the_rate_of_an_environment_is_paid_back(per_second):
    rate, one, two = IngestRate(per_second), Scope("t", "one"), Scope("t", "two")
    assert rate.take(one, 15, 100.0) == 0
    assert rate.take(two, 1, 100.0) == 0
    if not per_second:
        assert rate.take(one, 15, 100.0) == 0
        return
    assert rate.take(one, 1, 100.0) == 2.0
    assert rate.take(one, 1, 101.0) == 1.0
    assert rate.take(one, 1, 102.2) == 0


def test_an_environment_may_narrow_or_widen_the_window_of_timestamps() -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    usual = Limits.of(Ingest(), at=at)
    own = Limits.of(Ingest(), EventSettings(max_past_days=30, max_future_seconds=0), at=at)
    assert (own.oldest, own.latest) == (datetime(2026, 1, 1, tzinfo=UTC), at)
    assert usual.oldest == datetime(2000, 1, 1, tzinfo=UTC)
    assert usual.latest == at + timedelta(seconds=3600)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"event_name":"x","event_name":"y","external_customer_id":"c"}', "event_name"),
        (b'{"event_name":"x","external_customer_id":"c","source":null,"source":"s"}', "source"),
        (b'{"event_name":"x","external_customer_id":"c","event\\u005fname":"y"}', "event_name"),
    ],
)
def test_a_key_said_twice_is_refused_alone_and_in_bulk(body: bytes, field: str) -> None:
    one = decode_one(body, LIMITS)
    many = decode_bulk(b'{"events":[' + body + b"]}", LIMITS)
    for found in (one, many):
        assert found.events == []
        assert [(f.field, f.code) for f in found.faults] == [(field, "DUPLICATE_KEY")]


def test_a_list_of_events_said_twice_is_refused() -> None:
    event_text = b'{"event_name":"x","external_customer_id":"c"}'
    with pytest.raises(Invalid) as refused:
        decode_bulk(b'{"events":[' + event_text + b'],"events":[' + event_text + b"]}", LIMITS)
    assert refused.value.code == "DUPLICATE_KEY"


def test_texts_that_look_like_keys_are_no_repetition() -> None:
    body = (
        b'{"event_name":"\\"event_name\\":","external_customer_id":"c",'
        b'"properties":{"event_name":"x","a":"\\"properties\\":{"}}'
    )
    assert decode_one(body, LIMITS).faults == []
    assert decode_bulk(b'{"events":[' + body + b"]}", LIMITS).faults == []
