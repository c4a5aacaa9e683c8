"""Tables of what must be refused, and how."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from app.kernel.ids import new_id

MAX_BODY_BYTES: Final = 2_000_000

_ONE, _BULK = "/v1/events", "/v1/events/bulk"
_QUERY = "/v1/events/query"
_SIGN_UP = "/v1/auth/signup"
_NOBODY = {
    "tenant": "T",
    "email": "ada@bad-input.test",
    "name": "Ada",
    "password": "correct horse battery",
}


def event(**changes: Any) -> dict[str, Any]:
    right = {"event_id": "e", "event_name": "call", "external_customer_id": "taken"}
    return {**right, **changes}


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()


def _with_properties(text: bytes) -> bytes:
    return b'{"event_name": "call", "external_customer_id": "taken", "properties": ' + text + b"}"


def _one(name: str, code: str, field: str | None, **changes: Any) -> Any:
    return pytest.param(_ONE, _text(event(**changes)), 400, code, field, id=name)


def _raw(
    name: str,
    body: bytes,
    code: str,
    field: str | None = None,
    *,
    path: str = _ONE,
    status: int = 400,
) -> Any:
    return pytest.param(path, body, status, code, field, id=name)


def _graph(name: str, body: bytes, code: str, status: int = 400) -> Any:
    return pytest.param("/graphql", body, status, code, None, id=name)


def _variables(text: bytes) -> bytes:
    return b'{"query": "{ me { actorId } }", "variables": {"x": ' + text + b"}}"


_SOON = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
_MANY = {"events": [event(event_id=str(number)) for number in range(10_001)]}

# Path, body, status, code, and the field that is named.
BODIES: Final = [
    _one("an unknown field", "UNKNOWN_FIELD", "evnt_name", evnt_name="x"),
    _one("a field that is missing", "MISSING_FIELD", "event_name", event_name=None),
    _one("a number for a text", "INVALID_EVENT_NAME", "event_name", event_name=7),
    _one("a NUL in a name", "INVALID_EVENT_NAME", "event_name", event_name="a\0b"),
    _one("a text that is too long", "INVALID_SOURCE", "source", source="x" * 256),
    _one("an instant in the future", "TIMESTAMP_IN_FUTURE", "timestamp", timestamp=_SOON),
    _one("an ancient instant", "TIMESTAMP_TOO_OLD", "timestamp", timestamp="1999-12-31T23:59:59Z"),
    _one("no zone", "INVALID_TIMESTAMP", "timestamp", timestamp="2024-01-01T00:00:00"),
    _one("a day that is none", "INVALID_TIMESTAMP", "timestamp", timestamp="2024-02-30T00:00:00Z"),
    _one("properties in a list", "NOT_AN_OBJECT", "properties", properties=[1]),
    _one("large properties", "PROPERTIES_TOO_LARGE", "properties", properties={"x": "y" * 70_000}),
    _raw("NaN", _with_properties(b'{"x": NaN}'), "MALFORMED_JSON"),
    _raw("Infinity", _with_properties(b'{"x": -Infinity}'), "MALFORMED_JSON"),
    _raw("a huge number", _with_properties(b'{"x": 1e999}'), "NUMBER_OUT_OF_RANGE", "properties"),
    _raw("a key twice", _with_properties(b'{"x": 1, "x": 2}'), "DUPLICATE_KEY", "properties"),
    _raw(
        "deep properties",
        _with_properties(b'{"a":' * 40 + b"1" + b"}" * 40),
        "PROPERTIES_TOO_DEEP",
        "properties",
    ),
    _raw("brackets without end", b"[" * 200_000, "MALFORMED_JSON"),
    _raw("half of a surrogate", _with_properties(b'{"x": "\\ud800"}'), "MALFORMED_JSON"),
    _raw("bytes that are no text", b'{"event_name": "a\xff"}', "MALFORMED_JSON"),
    _raw("a bare NUL", b'{"event_name": "a\0b"}', "MALFORMED_JSON"),
    _raw("JSON that breaks off", b'{"event_name": "call"', "MALFORMED_JSON"),
    _raw("nothing", b"", "MALFORMED_JSON"),
    _raw("null", b"null", "NOT_AN_OBJECT"),
    _raw("no events", b'{"events": []}', "NO_EVENTS", "events", path=_BULK),
    _raw("events in no list", b'{"events": {}}', "INVALID_EVENTS", "events", path=_BULK),
    _raw("more beside events", b'{"events": [], "x": 1}', "UNKNOWN_FIELD", "x", path=_BULK),
    _raw("too many events", _text(_MANY), "TOO_MANY_EVENTS", "events", path=_BULK),
    _raw("no reason to void", b"{}", "MISSING_FIELD", "reason", path="/v1/events/e/void"),
    _raw("nothing to amend", b'{"reason":"x"}', "NOTHING_TO_AMEND", path="/v1/events/e/amend"),
    _raw("no voids", b'{"events":[]}', "NO_EVENTS", "events", path="/v1/events/void/bulk"),
    _raw("no amendments", b'{"events":[]}', "NO_EVENTS", "events", path="/v1/events/amend/bulk"),
    _raw("a large body", b" " * (MAX_BODY_BYTES + 1), "TOO_LARGE", path=_BULK, status=413),
    _raw(
        "usage of no meter",
        _text({"meter_id": new_id("mtr"), "external_customer_id": "taken"}),
        "NOT_FOUND",
        "meter_id",
        path="/v1/events/usage/meter",
        status=404,
    ),
    _raw(
        "usage of no customer",
        _text({"event_name": "call", "aggregation_type": "COUNT", "customer_id": new_id("cus")}),
        "NOT_FOUND",
        "customer_id",
        path="/v1/events/usage",
        status=404,
    ),
    _raw(
        "an aggregation that is none",
        _text({"event_name": "call", "external_customer_id": "c", "aggregation_type": "MAXIMAL"}),
        "INVALID_AGGREGATION",
        "aggregation_type",
        path="/v1/events/usage",
    ),
    _raw("an empty page", b'{"page_size": 0}', "INVALID_BODY", "page_size", path=_QUERY),
    _raw("a page of text", b'{"page_size": "many"}', "INVALID_BODY", "page_size", path=_QUERY),
    _raw("an unknown question", b'{"colour": "red"}', "UNKNOWN_FIELD", "colour", path=_QUERY),
    _raw(
        "an unknown field of a user",
        _text({**_NOBODY, "x": 1}),
        "UNKNOWN_FIELD",
        "x",
        path=_SIGN_UP,
    ),
    _raw(
        "a weak password",
        _text({**_NOBODY, "password": "short"}),
        "INVALID_PASSWORD",
        "password",
        path=_SIGN_UP,
    ),
    _raw("no address", _text({**_NOBODY, "email": "ada"}), "INVALID_EMAIL", "email", path=_SIGN_UP),
    _raw(
        "a NUL in a tenant",
        _text({**_NOBODY, "tenant": "a\0"}),
        "INVALID_TENANT",
        "tenant",
        path=_SIGN_UP,
    ),
    _raw("half a user", b'{"tenant": "T"}', "REQUIRED", "email", path=_SIGN_UP),
    _raw("a user that breaks off", b"{", "INVALID_BODY", path=_SIGN_UP),
    _raw(
        "a session of nobody",
        b'{"refresh_token": "nope"}',
        "INVALID_REFRESH_TOKEN",
        path="/v1/auth/refresh",
        status=401,
    ),
    _raw(
        "an invitation of nobody",
        b'{"token": "nope", "password": "correct horse battery"}',
        "INVALID_INVITATION",
        path="/v1/auth/invitation",
        status=401,
    ),
    _graph("no GraphQL", b"{}", "BAD_REQUEST"),
    _graph("a list of operations", b"[1]", "BATCHING_UNSUPPORTED"),
    _graph("GraphQL that breaks off", b"{", "INVALID_JSON"),
    _graph("GraphQL that is no text", b'{"query": "{ me { actorId } } \xff"}', "INVALID_JSON"),
    _graph("NaN in variables", _variables(b"NaN"), "INVALID_JSON"),
    _graph("brackets in variables", _variables(b"[" * 100_000 + b"]" * 100_000), "INVALID_JSON"),
    _graph("deep variables", _variables(b"[" * 50 + b"]" * 50), "QUERY_TOO_COMPLEX", 200),
    _graph("half a selection", b'{"query": "{ me {"}', "GRAPHQL_PARSE_FAILED", 200),
    _graph("a field that is none", b'{"query": "{ you }"}', "GRAPHQL_VALIDATION_FAILED", 200),
    _graph("large GraphQL", _text({"query": " " * 1_100_000}), "BODY_TOO_LARGE", 413),
    _graph("too large GraphQL", _text({"query": " " * MAX_BODY_BYTES}), "TOO_LARGE", 413),
]
MEDIA_TYPES: Final = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json; charset=latin-1",
    "",
]
# Over the key that the caller sends otherwise.
CREDENTIALS: Final = [
    pytest.param({"x-api-key": ""}, id="none"),
    pytest.param({"x-api-key": "tk_live_nope"}, id="no key"),
    pytest.param({"x-api-key": "tk_live_" + "a" * 43}, id="an unknown key"),
    pytest.param({"x-api-key": "k" * 5_000}, id="a long key"),
    pytest.param({"x-api-key": "", "authorization": "Bearer x.y.z"}, id="no token"),
    pytest.param({"x-api-key": "", "authorization": "Basic YTpi"}, id="another scheme"),
]


def _customer(code: str, field: str, **given: Any) -> Any:
    return "customerCreate", {"externalId": "new", "name": "New", **given}, code, field


def _clock(code: str, field: str | None, **given: Any) -> Any:
    basics = {"name": "New", "frozenAt": "2024-01-01T00:00:00Z"}
    return "testClockCreate", {**basics, **given}, code, field


def _clock_of(customer: str, clock: str | None) -> dict[str, Any]:
    return {"id": customer, "testClockId": clock}


def _meter(code: str, field: str, **given: Any) -> Any:
    basics = {"name": "New", "eventName": "call", "aggregation": {"kind": "COUNT"}}
    return "meterCreate", {**basics, **given}, code, field


def _feature(code: str, field: str, **given: Any) -> Any:
    basics = {"name": "New", "lookupKey": "new", "type": "METERED", "meterId": "<meter>"}
    return "featureCreate", {**basics, **given}, code, field


def _price(code: str, field: str, **given: Any) -> Any:
    basics = {"planId": "<plan>", "displayName": "New", "charge": "FIXED", "currency": "USD"}
    return "priceCreate", {**basics, "model": _flat("1"), **given}, code, field


def _flat(amount: Any) -> dict[str, Any]:
    return {"flat": {"flatAmount": amount}}


def _graduated(*tiers: tuple[str | None, str]) -> dict[str, Any]:
    return {"graduated": {"tiers": [{"upTo": top, "unitAmount": unit} for top, unit in tiers]}}


def _subscription(code: str, field: str, **given: Any) -> Any:
    basics = {"customerId": "<customer>", "planId": "<plan>"}
    return "subscriptionCreate", {**basics, **given}, code, field


def _attachment(code: str, field: str, /, **given: Any) -> Any:
    return "couponAttach", {"couponId": new_id("cpn"), **given}, code, field


def _association(code: str, field: str, /, **given: Any) -> Any:
    return "taxAssociationCreate", {"taxRateId": new_id("txr"), **given}, code, field


def _exemption(code: str, field: str, **given: Any) -> Any:
    basics = {"customerId": "<customer>", "kind": "EXEMPT", "reason": "none"}
    return "taxExemptionCreate", {**basics, **given}, code, field


def _amendment(code: str, field: str | None, **given: Any) -> Any:
    return "eventAmend", {"eventId": "e", "reason": "none", **given}, code, field


def _key(code: str, field: str, **given: Any) -> Any:
    return "apiKeyCreate", {"name": "New", "permissions": ["event:write"], **given}, code, field


_NO_INPUT = "BAD_USER_INPUT"
_AMOUNT = ".model.flat.flatAmount"

# Mutation, input, code, and the field; for a value that is none of its type, what the message
# says of the place.
INPUTS: Final = [
    _customer("ALREADY_EXISTS", "externalId", externalId="taken"),
    _customer("INVALID_EXTERNAL_ID", "externalId", externalId=""),
    _customer("INVALID_EXTERNAL_ID", "externalId", externalId="x" * 300),
    _customer("INVALID_NAME", "name", name="  "),
    _customer("INVALID_EMAIL", "email", email="nobody"),
    _customer("INVALID_TIMEZONE", "timezone", timezone="Mars/Base"),
    _customer("INVALID_CURRENCY", "currency", currency="usd"),
    _customer("INVALID_COUNTRY", "address.country", address={"country": "Germany"}),
    _customer("INVALID_METADATA", "metadata", metadata={"a": "b" * 600}),
    _customer("INVALID_METADATA", "metadata", metadata={"": "b"}),
    _customer("INVALID_METADATA", "metadata", metadata={f"k{n}": "v" for n in range(60)}),
    _customer(_NO_INPUT, ".metadata", metadata={"a": 1}),
    _customer(_NO_INPUT, ".externalId", externalId=7),
    _customer(_NO_INPUT, ".externalId", externalId=None),
    _customer(_NO_INPUT, "'colour'", colour="red"),
    _customer(_NO_INPUT, "$input.externalId", externalId="a\0b"),
    _customer(_NO_INPUT, "$input.metadata.a", metadata={"a": "\0"}),
    ("customerUpdate", {"id": "<foreign customer>", "name": "Mine"}, "NOT_FOUND", "id"),
    ("customerUpdate", {"id": new_id("cus"), "name": "Mine"}, "NOT_FOUND", "id"),
    ("customerUpdate", {"id": "<customer>", "name": None}, "REQUIRED", "name"),
    ("customerUpdate", {"id": "<customer>", "currency": "ABC"}, "INVALID_CURRENCY", "currency"),
    ("customerArchive", {"id": "<foreign customer>"}, "NOT_FOUND", "id"),
    ("customerRestore", {"id": "no id at all"}, "NOT_FOUND", "id"),
    ("customerTestClockSet", _clock_of("<customer>", new_id("clk")), "NOT_FOUND", "testClockId"),
    ("customerTestClockSet", _clock_of("<foreign customer>", None), "NOT_FOUND", "id"),
    _customer("NOT_FOUND", "testClockId", testClockId=new_id("clk")),
    _customer("NOT_FOUND", "parentId", parentId="<foreign customer>"),
    _customer("PARENT_REQUIRED", "parentPays", parentPays=True),
    (
        "customerUpdate",
        {"id": "<customer>", "parentId": "<customer>"},
        "INVALID_PARENT_ID",
        "parentId",
    ),
    _clock("PRODUCTION_ENVIRONMENT", None),
    _clock("INVALID_NAME", "name", name=" "),
    _clock("INVALID_FROZEN_AT", "frozenAt", frozenAt="1999-12-31T00:00:00Z"),
    _clock(_NO_INPUT, ".frozenAt", frozenAt="tomorrow"),
    _clock(_NO_INPUT, ".governs", governs="EVERYBODY"),
    ("testClockUpdate", {"id": new_id("clk"), "name": "New"}, "NOT_FOUND", "id"),
    ("testClockUpdate", {"id": new_id("clk"), "name": None}, "REQUIRED", "name"),
    ("testClockAdvance", {"id": new_id("clk"), "to": "2024-01-01T00:00:00Z"}, "NOT_FOUND", "id"),
    ("testClockAdvance", {"id": new_id("clk"), "to": "2024-01-01"}, _NO_INPUT, ".to"),
    ("testClockArchive", {"id": new_id("clk")}, "NOT_FOUND", "id"),
    ("testClockRestore", {"id": "no id at all"}, "NOT_FOUND", "id"),
    _meter("INVALID_NAME", "name", name=""),
    _meter(_NO_INPUT, ".aggregation.kind", aggregation={"kind": "MAXIMAL"}),
    _meter("REQUIRED", "aggregation.property", aggregation={"kind": "SUM"}),
    _meter(
        "INVALID_PROPERTY", "aggregation.property", aggregation={"kind": "COUNT", "property": "x"}
    ),
    _meter(
        "INVALID_VALUES",
        "filters.include[0].values",
        filters={"include": [{"property": "a", "values": []}]},
    ),
    _meter("INVALID_DIMENSIONS", "dimensions[1]", dimensions=["a", "a"]),
    _meter("INVALID_DIMENSIONS", "dimensions", dimensions=[f"d{n}" for n in range(11)]),
    _feature("METER_REQUIRED", "meterId", meterId=None),
    _feature("NOT_FOUND", "meterId", meterId="<foreign meter>"),
    _feature("METER_NOT_ALLOWED", "meterId", type="STATIC"),
    _feature("INVALID_LOOKUP_KEY", "lookupKey", lookupKey="a b"),
    ("eventVoid", {"eventId": "no such event", "reason": "none"}, "NOT_FOUND", "eventId"),
    ("eventVoid", {"eventId": "e", "reason": ""}, "INVALID_REASON", "reason"),
    ("eventVoid", {"eventId": " e", "reason": "none"}, "INVALID_EVENT_ID", "eventId"),
    ("eventsVoid", {"corrections": []}, "NO_CORRECTIONS", "corrections"),
    ("eventsAmend", {"corrections": []}, "NO_CORRECTIONS", "corrections"),
    _amendment("NOTHING_TO_AMEND", None),
    _amendment("INVALID_EVENT_NAME", "eventName", eventName=""),
    _amendment("INVALID_PROPERTIES", "propertiesText", propertiesText="{"),
    _amendment("NOT_AN_OBJECT", "propertiesText", propertiesText="[1]"),
    _amendment("DUPLICATE_KEY", "propertiesText", propertiesText='{"a":1,"a":2}'),
    _amendment("TIMESTAMP_IN_FUTURE", "timestamp", timestamp="2999-01-01T00:00:00Z"),
    _amendment(_NO_INPUT, ".timestamp", timestamp="2024-01-01"),
    ("planCreate", {"name": "New", "lookupKey": "basic"}, "ALREADY_EXISTS", "lookupKey"),
    _price("NOT_FOUND", "planId", planId="<foreign plan>"),
    _price("NOT_FOUND", "planId", planId=new_id("plan")),
    _price("INVALID_CURRENCY", "currency", currency="ABC"),
    _price("NEGATIVE_AMOUNT", "model.flat.flatAmount", model=_flat("-1")),
    _price("FEATURE_REQUIRED", "featureId", charge="USAGE"),
    _price("INVALID_TIERS", "model.graduated.tiers", model=_graduated()),
    _price(
        "LAST_TIER_NOT_OPEN",
        "model.graduated.tiers[1].upTo",
        model=_graduated(("5", "1"), ("9", "1")),
    ),
    _price("INVALID_CADENCE", "cadence.count", cadence={"unit": "MONTH", "count": 0}),
    _price(_NO_INPUT, ".cadence.count", cadence={"unit": "MONTH", "count": 99_999_999_999}),
    _price(_NO_INPUT, ".effectiveFrom", effectiveFrom="2024-01-01"),
    _price(_NO_INPUT, ".effectiveFrom", effectiveFrom="99999-01-01T00:00:00Z"),
    *(
        _price(_NO_INPUT, _AMOUNT, model=_flat(amount))
        for amount in ("NaN", "Infinity", "-Infinity", "1e400", "1" * 60, "", "one", 1.5)
    ),
    _price(_NO_INPUT, "exactly one", model={}),
    _price("USAGE_MODEL", "model.dynamic", model={"dynamic": {}}),
    _price(
        "FORMULA_SYNTAX",
        "model.formula.expression",
        model={
            "formula": {
                "expression": "__import__('os').system('true')",
                "variables": [{"name": "x", "unit": "call"}],
            }
        },
    ),
    _price(_NO_INPUT, "exactly one", model={**_flat("1"), "perUnit": {"unitAmount": "1"}}),
    _subscription("NOT_FOUND", "customerId", customerId="<foreign customer>"),
    _subscription("NOT_FOUND", "planId", planId="<foreign plan>"),
    _subscription("INVALID_TIMEZONE", "timezone", timezone="Nowhere"),
    _subscription("INVALID_STARTS_AT", "startsAt", startsAt="1850-01-01T00:00:00Z"),
    _subscription(
        "INVALID_ENDS_AT", "endsAt", startsAt="2024-02-01T00:00:00Z", endsAt="2024-01-01T00:00:00Z"
    ),
    _subscription("INVALID_TRIAL_DAYS", "trialDays", trialDays=-1),
    _subscription("INVALID_NET_DAYS", "netDays", netDays=366),
    _subscription("NOT_POSITIVE", "autoInvoiceThreshold", autoInvoiceThreshold="0"),
    _subscription("INVALID_PRICE_IDS", "priceIds[0]", priceIds=[new_id("pri")]),
    _subscription("INVALID_COUPON_IDS", "couponIds", couponIds=[new_id("cpn")] * 21),
    _subscription(_NO_INPUT, ".couponCodes", couponCodes=[7]),
    _attachment("OWNER_REQUIRED", "customerId"),
    _attachment("OWNER_AMBIGUOUS", "subscriptionId", customerId="c", subscriptionId="s"),
    _attachment("NOT_FOUND", "customerId", customerId="<foreign customer>"),
    _attachment("NOT_FOUND", "couponId", customerId="<customer>"),
    _attachment("COUPON_AMBIGUOUS", "code", customerId="<customer>", code="x"),
    _attachment("NOT_FOUND", "code", customerId="<customer>", couponId=None, code="none"),
    _attachment(_NO_INPUT, ".startsAt", customerId="<customer>", startsAt="tomorrow"),
    ("couponDetach", {"id": new_id("cpa")}, "NOT_FOUND", "id"),
    _association("NOT_FOUND", "taxRateId"),
    _association("TAX_RATE_AMBIGUOUS", "code", code="vat"),
    _association("TAX_RATE_REQUIRED", "taxRateId", taxRateId=None),
    _association(_NO_INPUT, ".priority", priority=2**40),
    _association(
        "INVALID_ENDS_AT", "endsAt", startsAt="2024-02-01T00:00:00Z", endsAt="2024-01-01T00:00:00Z"
    ),
    ("taxAssociationUpdate", {"id": new_id("txa"), "priority": 1}, "NOT_FOUND", "id"),
    ("taxAssociationUpdate", {"id": new_id("txa"), "priority": -1}, "INVALID_PRIORITY", "priority"),
    ("taxAssociationArchive", {"id": new_id("txa")}, "NOT_FOUND", "id"),
    ("taxAssociationRestore", {"id": "no id at all"}, "NOT_FOUND", "id"),
    _exemption("NOT_FOUND", "customerId", customerId="<foreign customer>"),
    _exemption("NOT_FOUND", "taxRateIds[0]", taxRateIds=[new_id("txr")]),
    _exemption("INVALID_TAX_RATE_IDS", "taxRateIds", taxRateIds=[str(n) for n in range(101)]),
    _exemption("INVALID_REASON", "reason", reason=" "),
    _exemption("INVALID_LEGEND", "legend", legend="x" * 501),
    _exemption(_NO_INPUT, ".kind", kind="STANDARD"),
    ("taxExemptionUpdate", {"id": new_id("txe"), "reason": None}, "REQUIRED", "reason"),
    ("taxExemptionArchive", {"id": new_id("txe")}, "NOT_FOUND", "id"),
    ("taxExemptionRestore", {"id": new_id("txe")}, "NOT_FOUND", "id"),
    _subscription("INVALID_COMMITMENT", "commitments[0]", commitments=[{}]),
    ("subscriptionActivate", {"id": new_id("sub")}, "NOT_FOUND", "id"),
    ("subscriptionPause", {"id": new_id("sub")}, "NOT_FOUND", "id"),
    ("subscriptionResume", {"id": new_id("sub")}, "NOT_FOUND", "id"),
    ("subscriptionUncancel", {"id": new_id("sub")}, "NOT_FOUND", "id"),
    ("subscriptionSetTrialEnd", {"id": new_id("sub")}, "NOT_FOUND", "id"),
    ("subscriptionCancelChange", {"id": new_id("sub"), "kind": "PAUSE"}, "NOT_FOUND", "id"),
    (
        "subscriptionQuantityChange",
        {"id": new_id("sub"), "lineItemId": new_id("sli"), "quantity": "1"},
        "NOT_FOUND",
        "id",
    ),
    (
        "subscriptionPriceChange",
        {"id": new_id("sub"), "lineItemId": new_id("sli"), "model": _flat("1")},
        "NOT_FOUND",
        "id",
    ),
    (
        "subscriptionAddonAttach",
        {"id": new_id("sub"), "addonId": new_id("addon")},
        "NOT_FOUND",
        "id",
    ),
    (
        "subscriptionAddonDetach",
        {"id": new_id("sub"), "subscriptionAddonId": new_id("hold")},
        "NOT_FOUND",
        "id",
    ),
    (
        "subscriptionAddonQuantityChange",
        {"id": new_id("sub"), "subscriptionAddonId": new_id("hold"), "quantity": "2"},
        "NOT_FOUND",
        "id",
    ),
    ("subscriptionPhasesSet", {"id": new_id("sub"), "phases": []}, "NOT_FOUND", "id"),
    _subscription(
        "INVALID_PHASES",
        "phases[0].endsAt",
        phases=[{"startsAt": "2099-02-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}],
    ),
    (
        "subscriptionPriceRestore",
        {"id": new_id("sub"), "lineItemId": new_id("sli")},
        "NOT_FOUND",
        "id",
    ),
    (
        "subscriptionPlanChange",
        {"id": new_id("sub"), "planId": "<plan>"},
        "NOT_FOUND",
        "id",
    ),
    ("invoiceVoid", {"id": new_id("inv"), "reason": "none"}, "NOT_FOUND", "id"),
    _key("INVALID_PERMISSIONS", "permissions", permissions=["root"]),
    _key("INVALID_PERMISSIONS", "permissions", permissions=[]),
    _key("INVALID_EXPIRES_AT", "expiresAt", expiresAt="2020-01-01T00:00:00Z"),
    ("userInvite", {"email": "nobody", "name": "N"}, "INVALID_EMAIL", "email"),
    ("roleCreate", {"name": "admin", "permissions": ["event:read"]}, "ALREADY_EXISTS", "name"),
    ("environmentCreate", {"name": "Production", "type": "DEVELOPMENT"}, "ALREADY_EXISTS", "name"),
    (
        "settingsUpdate",
        {"invoice": {"numberDigits": 99}},
        "INVALID_SETTING",
        "invoice.numberDigits",
    ),
]
_BACKWARDS = '{start: "2024-02-01T00:00:00Z", end: "2024-01-01T00:00:00Z"}'
# Query, code, and the field.
QUERIES: Final = [
    ("{ customers(first: 101) { nodes { id } } }", "INVALID_PAGE", "first"),
    ("{ customers(first: -1) { nodes { id } } }", "INVALID_PAGE", "first"),
    ("{ customers(first: 1, last: 1) { nodes { id } } }", "INVALID_PAGE", "last"),
    ('{ customers(after: "zzz") { nodes { id } } }', "INVALID_CURSOR", "after"),
    (f'{{ customers(search: "{"x" * 1000}") {{ nodes {{ id }} }} }}', "INVALID_SEARCH", "search"),
    (
        f'{{ usage(meterIds: ["m"], externalCustomerIds: ["c"], periods: [{_BACKWARDS}]) '
        "{ quantity } }",
        "INVALID_PERIOD",
        "periods[0].end",
    ),
]
