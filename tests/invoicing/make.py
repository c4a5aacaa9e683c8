"""Facts to rate and to bill, with defaults that a test overrides by name."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.catalog.price import (
    Billing,
    ChargeKind,
    InvoiceTiming,
    Price,
    PriceStatus,
    substance_hash,
)
from app.catalog.prices import NO_ADJUSTMENTS, Adjustments, Conversion, Figures, PerUnit, PriceModel
from app.invoicing.rating import Counted, Fact
from app.kernel.ids import new_id
from app.kernel.period import Cadence, Period
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.periods import Service
from app.subscriptions.subscription import (
    LineItem,
    PaymentTerms,
    Subscription,
    SubscriptionStatus,
)

JAN, FEB, MAR = (datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2, 3))
JANUARY = Period(JAN, FEB)
MONTH = Cadence("month")


def price(
    model: PriceModel | None = None,
    *,
    charge: ChargeKind = ChargeKind.USAGE,
    timing: InvoiceTiming = InvoiceTiming.ARREARS,
    currency: str = "USD",
    conversion: Conversion | None = None,
    group_by: tuple[str, ...] = (),
    adjustments: Adjustments = NO_ADJUSTMENTS,
    name: str = "Requests",
) -> Price:
    model = model or PerUnit(Decimal("0.1"))
    meter = new_id("mtr") if charge is ChargeKind.USAGE else None
    feature = new_id("feat") if charge is ChargeKind.USAGE else None
    return Price(
        id=new_id("pri"),
        plan_id=new_id("plan"),
        plan_version_id="plv_01J00000000000000000000000",
        addon_id=None,
        offered=True,
        lineage_id="pri_01J00000000000000000000000",
        feature_id=feature,
        meter_id=meter,
        lookup_key=None,
        group_id=None,
        display_name=name,
        charge=charge,
        billing=Billing.RECURRING,
        model=model,
        adjustments=adjustments,
        currency=currency,
        conversion=conversion,
        cadence=MONTH,
        timing=timing,
        group_by=group_by,
        trial_days=0,
        metadata={},
        content_hash=substance_hash(
            feature_id=feature,
            meter_id=meter,
            charge=charge,
            billing=Billing.RECURRING,
            model=model,
            adjustments=adjustments,
            currency=currency,
            conversion=conversion,
            cadence=MONTH,
            timing=timing,
            group_by=group_by,
            trial_days=0,
        ),
        replaces_id=None,
        effective_from=JAN,
        effective_until=None,
        status=PriceStatus.ACTIVE,
        created_at=JAN,
        updated_at=JAN,
    )


def item(sold: Price, *, quantity: Decimal | None = None, **fields: Any) -> LineItem:
    if quantity is None and sold.charge is ChargeKind.FIXED:
        quantity = Decimal(1)
    return LineItem(
        id=new_id("sli"),
        subscription_id=fields.get("subscription_id", "sub_1"),
        price_id=sold.id,
        price_hash=sold.content_hash,
        quantity=quantity,
        starts_at=fields.get("starts_at", JAN),
        ends_at=fields.get("ends_at"),
        created_at=JAN,
        updated_at=JAN,
    )


def fact(
    sold: Price,
    *counted: Figures,
    whole: Figures | None = None,
    quantity: Decimal | None = None,
    period: Period = JANUARY,
    full: Period = JANUARY,
) -> Fact:
    return Fact(item(sold, quantity=quantity), sold, Service(period, full), Counted(counted, whole))


def subscription(**fields: Any) -> Subscription:
    values = {
        "id": new_id("sub"),
        "customer_id": new_id("cus"),
        "plan_id": new_id("plan"),
        "plan_version_id": "plv_01J00000000000000000000000",
        "status": SubscriptionStatus.ACTIVE,
        "currency": "USD",
        "timezone": "UTC",
        "alignment": "anniversary",
        "anchor": JAN,
        "cadence": MONTH,
        "starts_at": JAN,
        "ends_at": None,
        "current_period": JANUARY,
        "billed_until": None,
        "anchor_given": False,
        "start_given": True,
        "trial": None,
        "pauses": (),
        "cuts": (),
        "cancellation": None,
        "terms": PaymentTerms(),
        "threshold_until": None,
        "revision": 0,
        "metadata": {},
        "created_at": JAN,
        "updated_at": JAN,
    }
    return Subscription(**{**values, **fields})


def billable(*sold: Price, **fields: Any) -> BillableSubscription:
    return BillableSubscription(subscription(**fields), tuple((item(p), p) for p in sold))
