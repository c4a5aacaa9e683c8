"""A company that sells, built by the real actions: tenant, meter, plan, prices, subscriptions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from app import config
from app.catalog.actions import features, plans, prices
from app.catalog.feature import CreateFeature, FeatureType
from app.catalog.plan import CreatePlan
from app.catalog.price import ChargeKind, CreatePrice, InvoiceTiming
from app.catalog.prices import Flat, Graduated, PerUnit, Tier
from app.customers import actions as customers
from app.customers.customer import Address, CreateCustomer, Customer
from app.infra.clickhouse import ClickHouse
from app.infra.due import Page
from app.infra.s3 import Storage
from app.invoicing import actions
from app.invoicing.actions import FileKind
from app.invoicing.billing import Billing
from app.invoicing.invoice import Invoice
from app.kernel.clock import FixedClock
from app.kernel.copies import replace
from app.kernel.ids import ulid
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions as meters
from app.metering.aggregations import Sum
from app.metering.corrections.storing import CorrectionStore
from app.metering.corrections.wire import read_corrections
from app.metering.meter import CreateMeter
from app.subscriptions import actions as subscriptions
from app.subscriptions.subscription import CreateSubscription, Subscription
from app.tenants.actions import environments, tenants
from app.tenants.commands import CreateTenant
from tests.metering.correcting import Op, line

JAN = datetime(2025, 1, 1, tzinfo=UTC)
TIERS = (Tier(Decimal(100), Decimal("0.5")), Tier(None, Decimal("0.1"), Decimal(3)))


@dataclass(frozen=True)
class CaughtUp:
    """Every event is counted as soon as it is accepted."""

    clock: FixedClock

    async def take(self) -> datetime:
        return self.clock.now()

    async def caught_up(self, watermark: datetime) -> bool:
        return True


@dataclass(frozen=True)
class World:
    """One plan: 20 a month in advance, requests in tiers, and traffic by region, in arrears."""

    scope: Scope
    services: Billing
    clock: FixedClock
    plan_id: str
    meter_id: str
    clock_id: str | None = None  # the test clock that new customers live on
    customers: dict[str, Customer] = field(default_factory=dict)

    def page(self, at: datetime | None = None, **fields: Any) -> Page:
        now = at or self.clock.now()
        return Page(self.scope, now, now, self.services.settings.chunk_size, **fields)

    def patient(self, **settings: Any) -> "World":
        """The same world with other billing settings."""
        changed = replace(self.services, settings=config.Billing(**settings))
        return replace(self, services=changed)

    async def customer(self, name: str) -> Customer:
        if name not in self.customers:
            address = Address(line1="1 Main St", city="Berlin", postal_code="10115", country="DE")
            command = CreateCustomer(
                external_id=name,
                name=name.title(),
                currency="USD",
                address=address,
                test_clock_id=self.clock_id,
            )
            self.customers[name] = await customers.create(
                self.scope, command, by=SYSTEM, at=self.clock.now()
            )
        return self.customers[name]

    async def subscribe(self, name: str, **fields: Any) -> Subscription:
        """From 1 January 2025 unless said otherwise, even when it is later."""
        customer = await self.customer(name)
        command = CreateSubscription(
            **{"customer_id": customer.id, "plan_id": self.plan_id, "starts_at": JAN, **fields}
        )
        return await subscriptions.create(self.scope, command, by=SYSTEM, at=self.clock.now())

    async def use(
        self,
        name: str,
        used: Sequence[tuple[datetime, str, str]],
        *,
        copies: int = 1,
        accepted: datetime | None = None,
    ) -> list[str]:
        """Events of the meter as the consumer stores them: instant, amount, region; their ids.

        Each was accepted as it happened, unless said otherwise.
        """
        ids = [ulid() for _ in used]
        rows = b"".join(
            self._event(name, id_, at, accepted or at, {"amount": amount, "region": region}) + b"\n"
            for id_, (at, amount, region) in zip(ids, used, strict=True)
        )
        for copy in range(copies):
            await self.services.clickhouse.insert("events", rows, token=f"{ulid()}-{copy}")
        return ids

    async def void(self, event_id: str, accepted: datetime) -> None:
        await self._correct(Op("voided", event_id, accepted, copy=1))

    async def amend(self, event_id: str, accepted: datetime, amount: str, region: str) -> None:
        properties = orjson.dumps({"amount": amount, "region": region}).decode()
        await self._correct(Op("amended", event_id, accepted, {"properties": properties}, copy=2))

    async def _correct(self, op: Op) -> None:
        corrections, faulty = read_corrections(line(self.scope, op), 0)
        assert not faulty
        store = CorrectionStore(self.services.clickhouse)
        _, refused = await store.store(corrections, ulid())
        assert not refused

    def _event(
        self, name: str, id_: str, at: datetime, accepted: datetime, properties: dict[str, str]
    ) -> bytes:
        return orjson.dumps(
            {
                "tenant_id": self.scope.tenant_id,
                "environment_id": self.scope.environment_id,
                "event_id": id_,
                "event_name": "request",
                "external_customer_id": name,
                "timestamp": _millisecond(at),
                "source": "",
                "properties": orjson.dumps(properties).decode(),
                "fields": properties,
                "ingested_at": _millisecond(accepted),
                "batch": "test",
            }
        )


async def build(
    clickhouse: ClickHouse,
    storage: Storage,
    *,
    chunk_size: int = 500,
    delay_seconds: int = 0,
    development: bool = False,
) -> World:
    clock = FixedClock(JAN)
    made = await tenants.create(CreateTenant(name="Skyport"), by=SYSTEM, at=JAN)
    environment = made.development if development else made.production
    scope = Scope(made.tenant.id, environment.id)
    settings = config.Billing(chunk_size=chunk_size, finalization_delay_seconds=delay_seconds)
    services = Billing(clickhouse, storage, clock, CaughtUp(clock), settings)
    meter_id, plan_id = await _catalog(scope)
    return World(scope, services, clock, plan_id, meter_id)


async def set_up(world: World, *, documents: dict[str, Any] | None = None, **invoice: Any) -> None:
    """Change the environment's settings of invoices, and of documents."""
    patch = {"invoice": invoice, **({"documents": documents} if documents else {})}
    await environments.update_settings(world.scope, patch, by=SYSTEM, at=JAN)


async def pdf_of(world: World, invoice_id: str) -> bytes:
    storage = world.services.storage
    return (await actions.download(world.scope, invoice_id, FileKind.PDF, storage)).body


async def link_to(world: World, invoice: Invoice, kind: FileKind = FileKind.PDF) -> str | None:
    return await actions.link(world.scope, invoice, kind, world.services.storage, at=JAN)


async def _catalog(scope: Scope) -> tuple[str, str]:
    how = {"by": SYSTEM, "at": JAN}
    command = CreateMeter(
        name="Requests", event_name="request", aggregation=Sum("amount"), dimensions=("region",)
    )
    meter = await meters.create(scope, command, **how)
    feature = await features.create(
        scope,
        CreateFeature(
            name="Requests", lookup_key="requests", type=FeatureType.METERED, meter_id=meter.id
        ),
        **how,
    )
    plan = await plans.create(scope, CreatePlan(name="Pro", lookup_key="pro"), **how)
    usage = {"plan_id": plan.id, "charge": ChargeKind.USAGE, "currency": "USD"}
    for price in (
        CreatePrice(
            plan_id=plan.id,
            display_name="Platform fee",
            charge=ChargeKind.FIXED,
            model=Flat(Decimal(20)),
            currency="USD",
            timing=InvoiceTiming.ADVANCE,
        ),
        CreatePrice(
            display_name="Requests", model=Graduated(TIERS), feature_id=feature.id, **usage
        ),
        CreatePrice(
            display_name="Traffic",
            model=PerUnit(Decimal("0.001")),
            feature_id=feature.id,
            group_by=("region",),
            **usage,
        ),
    ):
        await prices.create(scope, price, **how)
    return meter.id, plan.id


def _millisecond(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"
