"""The facts of the corpus, and how they are written, read and billed. Pure."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from app.catalog.price import ChargeKind
from app.catalog.prices import (
    Adjustments,
    Cell,
    Conversion,
    Dynamic,
    Figures,
    Flat,
    Formula,
    Graduated,
    GraduatedPercentage,
    Matrix,
    MatrixRow,
    MeterFigure,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    PriceModel,
    Tier,
    Transform,
    Variable,
    Volume,
    WindowFigure,
)
from app.invoicing import explanation
from app.invoicing.amounts import Balance, Discount, Line, Rate, Rules, Terms, reckon, steps
from app.invoicing.charges import price_of
from app.invoicing.included import NOTHING_INCLUDED, SpanFigure, included_of
from app.invoicing.rating import Counted, Fact, rate, snapshot
from app.kernel.copies import fields_of, replace
from app.kernel.currencies import minor_units
from app.kernel.period import Period
from app.metering.filters import Match
from app.metering.walk import fold
from app.subscriptions.periods import Service
from tests.catalog.entitlement_rows import metered
from tests.invoicing.make import FEB, JAN, JANUARY, item, price
from tests.invoicing.test_included import given_to

D = Decimal
FOLDER = Path(__file__).parent / "corpus"
MID = JAN.replace(day=11)


@dataclass(frozen=True)
class Sold:
    """One line item and what was counted of it. `limits` are included by the month."""

    price: dict[str, Any]
    service: Service
    quantity: Decimal | None = None
    groups: tuple[Figures, ...] = ()
    whole: Figures | None = None
    limits: tuple[str, ...] = ()
    used: Decimal = Decimal(0)

    def fact(self) -> Fact:
        sold = price_of(self.price)
        mine = replace(item(sold, quantity=self.quantity), id="sli_golden")
        included, spans = NOTHING_INCLUDED, {}
        if self.limits:
            terms = [metered(limit) for limit in self.limits]
            included = included_of(sold, given_to(sold, *terms), self.service.period)
            asked = included.asked(self.service.period)
            spans = {period: SpanFigure(self.used, 1) for period in asked}
        counted = Counted(self.groups, self.whole, spans)
        return Fact(mine, sold, self.service, counted, included)


@dataclass(frozen=True)
class Case:
    """An invoice: what was sold, and what is taken off and added."""

    sold: tuple[Sold, ...]
    discounts: tuple[Discount, ...] = ()
    prepaid: tuple[Balance, ...] = ()
    rates: tuple[Rate, ...] = ()
    credits: tuple[Balance, ...] = ()
    rules: Rules = field(default_factory=Rules)


def billed(case: Case) -> dict[str, Any]:
    """What the engine makes of a case, as JSON."""
    rated = [line for sold in case.sold for line in rate(sold.fact())]
    currency = rated[0].currency
    found = reckon(
        [Line(f"line{n}", each.amount, each.kind.value) for n, each in enumerate(rated)],
        Terms(
            discounts=case.discounts, prepaid=case.prepaid, rates=case.rates, credits=case.credits
        ),
        currency=currency,
        decimals=minor_units(currency),
        rules=case.rules,
    )
    kept = [
        {**fields_of(line), "explanation": explanation.to_json(line.explanation)} for line in rated
    ]
    out = {
        "lines": kept,
        "amounts": found.lines,
        "totals": found.totals,
        "due": explanation.to_json(steps.due(found)),
        "shares": [
            [explanation.to_json(part) for part in steps.shares(found, index)]
            for index in range(len(rated))
        ],
    }
    return msgspec.json.decode(msgspec.json.encode(out, order="deterministic"))


def read(path: Path) -> tuple[str, Case, dict[str, Any]]:
    """The version of the engine that wrote a file, its case, and what came out then."""
    stored = msgspec.json.decode(path.read_bytes())
    return stored["engine_version"], msgspec.convert(stored["case"], Case), stored["billed"]


def write() -> None:
    from app.invoicing.rating import ENGINE_VERSION  # noqa: PLC0415 - as it is when written

    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, case in CASES.items():
        # By way of text, so that what is billed is what a reader will bill.
        plain = msgspec.json.decode(msgspec.json.encode(case, order="deterministic"))
        again = msgspec.convert(plain, Case)
        body = {"engine_version": ENGINE_VERSION, "case": plain, "billed": billed(again)}
        text = msgspec.json.format(msgspec.json.encode(body), indent=1)
        (FOLDER / f"{name}.json").write_bytes(text + b"\n")


def usage(model: PriceModel, *groups: Figures, **fields: Any) -> Sold:
    own = {name: fields.pop(name) for name in ("whole", "limits", "used") if name in fields}
    sold = price(model, **fields)
    fixed = {"id": "pri_golden", "plan_id": "plan_golden", "content_hash": "0" * 64}
    if sold.meter_id is not None:
        fixed |= {"meter_id": "mtr_golden", "feature_id": "feat_golden"}
    return Sold(snapshot(replace(sold, **fixed)), Service(JANUARY, JANUARY), groups=groups, **own)


def fee(amount: str, quantity: str, service: Service) -> Sold:
    sold = usage(Flat(D(amount)), charge=ChargeKind.FIXED, name="Seats")
    return replace(sold, service=service, quantity=D(quantity))


def counted(quantity: str, events: int = 1, **fields: Any) -> Figures:
    return Figures(D(quantity), events, **fields)


def _walked(model: Percentage, *amounts: str) -> Figures:
    exact = [D(amount) for amount in amounts]
    return Figures(sum(exact, D(0)), len(exact), tally=fold(model.walk, exact))


TIERS = (Tier(D(100), D("0.5")), Tier(D(250), D("0.2"), D(5)), Tier(None, D("0.1"), D(3)))
PERCENT = Percentage(D("2.9"), D("0.3"), 1, D(50), D("0.5"), D(4))
MATRIX = Matrix(
    (
        MatrixRow((Match("region", ("eu",)),), PerUnit(D(2)), "Europe"),
        MatrixRow((Match("region", ("us", "ca")),), Graduated(TIERS)),
    ),
    Package(D(7), D(10), "up", D(0)),
)
CELLS = (Cell(0, D("1.5"), 2), Cell(1, D(120), 9), Cell(None, D(11), 1))
FORMULA = Formula.parsed(
    "input * 0.000003[USD/token] + max(output, 10[token]) * 0.000015[USD/token]",
    (
        Variable("input", "token", meter_id="mtr_in"),
        Variable("output", "token", meter_id="mtr_out"),
    ),
)
TEN_DAYS = Service(Period(JAN, MID), JANUARY)
PAUSED = Service(JANUARY, JANUARY, (Period(MID, MID.replace(day=14)),))

CASES: dict[str, Case] = {
    "per_unit": Case((usage(PerUnit(D("0.0125")), counted("333.3", 7)),)),
    "nothing_used": Case((usage(PerUnit(D(1)), group_by=("region",)),)),
    "package": Case((usage(Package(D("9.99"), D(1000), "up", D(100)), counted("2101")),)),
    "graduated": Case((usage(Graduated(TIERS), counted("250.5", 3)),)),
    "volume": Case((usage(Volume(TIERS), counted("250.5", 3)),)),
    "graduated_percentage": Case(
        (
            usage(
                GraduatedPercentage((PercentageTier(D(1000), D(3)), PercentageTier(None, D(1)))),
                counted("1234.56", 4),
            ),
        )
    ),
    "dynamic": Case((usage(Dynamic(D("1.1")), counted("17.005", 2)),)),
    "percentage": Case((usage(PERCENT, _walked(PERCENT, "40", "9", "30.5", "0.1", "500")),)),
    "matrix": Case((usage(MATRIX, counted("132.5", 12, cells=CELLS)),)),
    "matrix_rows": Case(
        (
            usage(
                msgspec.structs.replace(MATRIX, line_per_row=True),
                counted("132.5", 12, cells=CELLS),
            ),
        )
    ),
    "formula": Case(
        (
            usage(
                FORMULA,
                counted("1", meters={"input": MeterFigure(D(999_999), 5),
                                     "output": MeterFigure(D(70_001), 5)}),
            ),
        )
    ),
    "groups": Case(
        (
            usage(
                PerUnit(D("0.333")), counted("1", group=("eu",)), counted("2", group=(None,)),
                group_by=("region",),
            ),
        )
    ),
    "groups_together": Case(
        (
            usage(
                Graduated(TIERS), counted("90", group=("eu",)), counted("60", group=("us",)),
                group_by=("region",), adjustments=Adjustments(tiers_per="total"),
                whole=counted("150", 2),
            ),
        )
    ),
    "adjustments": Case(
        (
            usage(
                PerUnit(D("0.25")), counted("12345"),
                adjustments=Adjustments(
                    Transform(divide_by=D(1000), round="up"), D(2), minimum=D(1), maximum=D("2.5")
                ),
            ),
            usage(PerUnit(D("0.01")), counted("3"), adjustments=Adjustments(minimum=D(5))),
        )
    ),
    "buckets": Case(
        (
            usage(
                Volume(TIERS),
                counted("300", 3, windows=(WindowFigure(JAN, D(120), 2),
                                           WindowFigure(MID, D(180), 1)), empty_windows=29),
                adjustments=Adjustments(bucket="day", minimum=D(1)),
            ),
        )
    ),
    "price_unit": Case(
        (usage(PerUnit(D("1.5")), counted("7"), conversion=Conversion("", "credits", D("0.07"))),)
    ),
    "allowances": Case(
        (usage(PerUnit(D(1)), counted("130", 4), limits=("100", "20"), used=D(130)),)
    ),
    "proration": Case((fee("20", "3", TEN_DAYS), fee("20", "1", PAUSED), fee("9.99", "1",
                       Service(Period(JAN, FEB), JANUARY)))),
    "yen": Case((usage(PerUnit(D("0.5")), counted("33"), currency="JPY"),)),
    "discounts_and_taxes": Case(
        (
            fee("20", "1", TEN_DAYS),
            usage(Graduated(TIERS), counted("250.5", 3)),
            usage(PerUnit(D("0.333")), counted("10")),
        ),
        discounts=(
            Discount(id="ten", percent=D(10), lines=frozenset({"line1", "line2"}), each=True),
            Discount(id="five", amount=D(5), currency="USD"),
        ),
        prepaid=(Balance(id="bal", amount=D(30), kinds=frozenset({"usage"})),),
        rates=(
            Rate(id="vat", percent=D(19)),
            Rate(id="city", percent=D("2.5"), compound=True, priority=1),
            Rate(id="in", percent=D(7), included=True),
        ),
        credits=(Balance(id="note", amount=D("12.34")),),
    ),
}  # fmt: skip
