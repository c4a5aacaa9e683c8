"""How each REST route is asked about what a world has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

World = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """A request made of a world. `finds`: whether one's own is answered otherwise."""

    path: Callable[[World], str]
    options: Callable[[World], dict[str, Any]] = lambda world: {}
    finds: bool = True


_SINCE: Final = {"start_time": "2024-01-01T00:00:00Z"}


def _event(world: World) -> dict[str, Any]:
    return {
        "event_id": world["eventId"],
        "event_name": "anything",
        "external_customer_id": "anybody",
        "timestamp": "2024-01-20T00:00:00Z",
    }


def _asking(path: str, **given: str) -> Case:
    """A body that asks for what the world has under these names."""
    return Case(
        lambda world: path,
        lambda world: {"json": {**_SINCE, **{name: world[what] for name, what in given.items()}}},
    )


def _listing(path: str, **given: str) -> Case:
    return Case(
        lambda world: path,
        lambda world: {"params": {**_SINCE, **{name: world[what] for name, what in given.items()}}},
    )


_METER: Final = "/v1/events/usage/meter"
_CORRECTION: Final = {"reason": "a test"}
_REPLAY: Final = {"event": {"event_name": "mended", "external_customer_id": "anybody"}}

# By method and path, as the routes' own tables of permissions name them.
CASES: Final[Mapping[tuple[str, str], tuple[Case, ...]]] = {
    ("GET", "/v1/events"): (
        _listing("/v1/events", event_id="eventId"),
        _listing("/v1/events", external_customer_id="externalId"),
        _listing("/v1/events", event_name="eventName"),
    ),
    ("POST", "/v1/events/query"): (
        _asking("/v1/events/query", event_id="eventId"),
        _asking("/v1/events/query", external_customer_id="externalId"),
        _asking("/v1/events/query", event_name="eventName"),
    ),
    ("POST", "/v1/events/usage"): (
        Case(
            lambda world: "/v1/events/usage",
            lambda world: {
                "json": {
                    **_SINCE,
                    "event_name": world["eventName"],
                    "external_customer_id": world["externalId"],
                    "aggregation_type": "COUNT",
                }
            },
        ),
    ),
    ("POST", _METER): (
        _asking(_METER, meter_id="meter", external_customer_id="externalId"),
        _asking(_METER, meter_id="meter", customer_id="customer"),
    ),
    ("GET", "/v1/events/lookup"): (
        Case(lambda world: "/v1/events/lookup", lambda world: {"params": {"id": world["eventId"]}}),
    ),
    ("GET", "/v1/events/dead_letters"): (
        Case(
            lambda world: "/v1/events/dead_letters",
            lambda world: {"params": {"after": world["letter"]}},
        ),
    ),
    ("GET", "/v1/events/dead_letters/{id}"): (
        Case(lambda world: f"/v1/events/dead_letters/{world['letter']}"),
    ),
    ("POST", "/v1/events/dead_letters/{id}/replay"): (
        Case(
            lambda world: f"/v1/events/dead_letters/{world['letter']}/replay",
            lambda world: {"json": _REPLAY},
        ),
    ),
    ("GET", "/v1/events/{id:path}"): (Case(lambda world: f"/v1/events/{world['eventId']}"),),
    **{
        ("GET", f"/v1/invoices/{{id}}/{kind}"): (
            Case(lambda world, kind=kind: f"/v1/invoices/{world['invoice']}/{kind}"),  # type: ignore[misc]
        )
        for kind in ("pdf", "csv", "json", "ubl")
    },
    **{
        ("GET", f"/v1/credit_notes/{{id}}/{kind}"): (
            Case(lambda world, kind=kind: f"/v1/credit_notes/{world['creditNote']}/{kind}"),  # type: ignore[misc]
        )
        for kind in ("pdf", "json", "ubl")
    },
    ("POST", "/v1/events/{id:path}/void"): (
        Case(
            lambda world: f"/v1/events/{world['eventId']}/void", lambda world: {"json": _CORRECTION}
        ),
    ),
    ("POST", "/v1/events/{id:path}/amend"): (
        Case(
            lambda world: f"/v1/events/{world['eventId']}/amend",
            lambda world: {"json": {**_CORRECTION, "properties": {}}},
        ),
    ),
    ("POST", "/v1/events/void/bulk"): (
        Case(
            lambda world: "/v1/events/void/bulk",
            lambda world: {"json": {"events": [{**_CORRECTION, "event_id": world["eventId"]}]}},
        ),
    ),
    ("POST", "/v1/events/amend/bulk"): (
        Case(
            lambda world: "/v1/events/amend/bulk",
            lambda world: {
                "json": {
                    "events": [{**_CORRECTION, "event_id": world["eventId"], "properties": {}}]
                }
            },
        ),
    ),
    # Last, because they take the victim's event id for events of one's own.
    ("POST", "/v1/events"): (
        Case(lambda world: "/v1/events", lambda world: {"json": _event(world)}, finds=False),
    ),
    ("POST", "/v1/events/bulk"): (
        Case(
            lambda world: "/v1/events/bulk",
            lambda world: {"json": {"events": [_event(world)]}},
            finds=False,
        ),
    ),
}
# Routes that take neither an id of anything nor a permission.
WITHOUT_IDS: Final = {
    "/graphql",
    "/graphql/assets/{name}",
    "/health",
    "/ready",
    "/metrics",
    "/v1/auth/signup",
    "/v1/auth/login",
    "/v1/auth/refresh",
    "/v1/auth/logout",
    "/v1/auth/invitation",
    "/v1/auth/password",
    "/v1/auth/me",
}
