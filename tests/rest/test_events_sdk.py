"""The public `flexprice` package as a client, unchanged, over a real socket."""

from datetime import UTC, datetime

import pytest
from flexprice import Flexprice, models
from flexprice.models.errors import ErrorResponse, FlexpriceDefaultError

from app.infra.kafka import open_producer
from app.kernel.scope import SYSTEM
from app.metering import actions
from app.metering.aggregations import Sum
from app.metering.meter import CreateMeter
from tests.graphql.server import served
from tests.metering.streams import own_topics
from tests.rest.event_server import opened


@pytest.fixture
async def own(database, settings):
    return await own_topics(settings)


@pytest.fixture
async def door(own, clickhouse, clock):
    async with open_producer(own.kafka) as producer, opened(own, clickhouse, producer, clock) as it:
        yield it


@pytest.fixture
async def sdk(door):
    async with served(door.app) as server:
        url = f"http://{server.host}:{server.port}/v1"
        async with Flexprice(server_url=url, api_key_auth=door.key) as client:
            yield client


async def test_events_go_in_by_the_sdk_and_come_out_by_it(sdk, door, clickhouse, clock):
    one = await sdk.events.ingest_event_async(
        event_name="request",
        external_customer_id="acme",
        event_id="one",
        timestamp="2024-06-14T00:00:00Z",
        source="sdk",
        properties={"tokens": "12"},
    )
    assert one == {"message": "Event accepted for processing", "event_id": "one"}
    many = await sdk.events.ingest_events_bulk_async(
        events=[
            models.IngestEventRequest(
                event_name="request",
                external_customer_id="acme",
                event_id=f"bulk-{number}",
                timestamp=f"2024-06-14T0{number}:00:00Z",
                properties={"tokens": str(number), "model": "small" if number % 2 else "large"},
            )
            for number in range(1, 6)
        ]
    )
    assert many == {"message": "5 events accepted for processing", "accepted": "5"}
    await door.store()

    page = await sdk.events.list_raw_events_async(external_customer_id="acme", page_size=4)
    assert [event.id for event in page.events] == ["bulk-5", "bulk-4", "bulk-3", "bulk-2"]
    assert (page.has_more, page.events[0].properties) == (True, {"tokens": "5", "model": "small"})
    rest = await sdk.events.list_raw_events_async(iter_last_key=page.iter_last_key)
    assert [event.id for event in rest.events] == ["bulk-1", "one"]
    assert rest.has_more is False

    found = await sdk.events.get_event_async(id="one", external_customer_id="acme")
    assert (found.event.id, found.event.source, found.status) == ("one", "sdk", "processed")

    usage = await sdk.events.get_usage_statistics_async(
        event_name="request",
        aggregation_type="SUM",
        property_name="tokens",
        external_customer_id="acme",
        start_time=datetime(2024, 6, 1, tzinfo=UTC),
        end_time=datetime(2024, 7, 1, tzinfo=UTC),
        window_size="DAY",
    )
    assert (usage.value, usage.type, usage.event_name) == (27.0, "SUM", "request")
    assert [(one.window_size, one.value) for one in usage.results] == [("2024-06-14T00:00:00Z", 27)]
    small = await sdk.events.get_usage_statistics_async(
        event_name="request",
        aggregation_type="COUNT",
        external_customer_id="acme",
        filters={"model": ["small"]},
    )
    assert small.value == 3

    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    meter = await actions.create(door.scope, command, by=SYSTEM, at=clock.now())
    await actions.backfill(door.scope, clickhouse, meter.id, at=clock.now())
    metered = await sdk.events.get_usage_by_meter_async(
        meter_id=meter.id, external_customer_id="acme"
    )
    assert metered.value == 27


async def test_the_sdk_understands_refusals(sdk, door):
    with pytest.raises(ErrorResponse) as refused:
        await sdk.events.ingest_event_async(event_name="", external_customer_id="acme")
    assert refused.value.data.code == "INVALID_EVENT_NAME"
    with pytest.raises(ErrorResponse, match="event unknown does not exist"):
        await sdk.events.get_event_async(id="unknown", external_customer_id="acme")
    assert await door.sent() == []


async def test_the_sdk_with_a_wrong_key_is_refused(sdk, door):
    async with served(door.app) as server:
        url = f"http://{server.host}:{server.port}/v1"
        async with Flexprice(server_url=url, api_key_auth="tk_live_wrong") as client:
            with pytest.raises(FlexpriceDefaultError, match="Status 401"):
                await client.events.ingest_event_async(event_name="a", external_customer_id="b")
    assert await door.sent() == []
