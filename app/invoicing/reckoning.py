"""From the lines of invoices to what is due, by what is in force for each of them. Pure.

Invoices are taken in the order of their tax points, so that of several it is the earliest that
gets a coupon's last use, or what is left of a balance.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.catalog.coupon import Coupon, CouponDuration, CouponKind, CouponLevel
from app.catalog.tax_rate import TaxRate
from app.invoicing import explanation
from app.invoicing.amounts import (
    CREDITS_AFTER_TAX,
    CREDITS_BEFORE_TAX,
    Balance,
    Discount,
    Line,
    Rate,
    Reckoned,
    Rules,
    Spread,
    TaxRounding,
    Terms,
    Totals,
    reckon,
    steps,
)
from app.invoicing.applied.kept import applied_of
from app.invoicing.applied.parts import NOTHING_APPLIED, Applied
from app.invoicing.drafts import Drafted
from app.invoicing.invoice import Invoice, InvoiceLine
from app.invoicing.terms.attachment import CouponAttachment
from app.invoicing.terms.balances import Payer
from app.invoicing.terms.taxation import TaxAssociation, Taxed, TaxExemption, winning
from app.kernel.copies import replace
from app.kernel.currencies import minor_units
from app.kernel.quantity import EXACT, added
from app.tenants.settings import AmountSettings

Held = tuple[CouponAttachment, Coupon]
Asked = tuple[TaxAssociation, TaxRate]
# A coupon with the ids of the lines that it may be taken off.
Covering = tuple[Held, frozenset[str]]
# On how many other invoices an attachment was taken off, by subscription.
Uses = Mapping[tuple[str, str | None], int]


@dataclass(frozen=True, slots=True)
class InForce:
    """What may apply to the invoices at hand; more than that does no harm."""

    settings: AmountSettings
    coupons: Sequence[Held] = ()
    uses: Uses = field(default_factory=dict)
    taxes: Sequence[Asked] = ()
    exemptions: Sequence[TaxExemption] = ()
    prepaid: Mapping[Payer, Sequence[Balance]] = field(default_factory=dict)
    credits: Mapping[Payer, Sequence[Balance]] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether invoices come to the sum of their lines."""
        return not (self.coupons or self.taxes or self.exemptions or self.prepaid or self.credits)


def reckon_all(drafts: Sequence[Drafted], in_force: InForce) -> list[Drafted]:
    """The drafts, in their order, with everything between their lines and the amount due."""
    if in_force.nothing:
        return [_sum(drafted, (), in_force.settings) for drafted in drafts]
    book = _Book(in_force)
    turns = sorted(
        range(len(drafts)),
        key=lambda i: (drafts[i].invoice.tax_point, drafts[i].invoice.id),
    )
    found = {turn: book.reckoned(drafts[turn]) for turn in turns}
    return [found[index] for index in range(len(drafts))]


class _Book:
    """What is in force, by whom it is for, and what invoices have used up of it."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force
        self._rules = rules_of(in_force.settings)
        self._coupons = _by(in_force.coupons, lambda held: held[0].customer_id)
        self._of_subscriptions = _by(in_force.coupons, lambda held: held[0].subscription_id)
        self._exemptions = _by(in_force.exemptions, lambda each: each.customer_id)
        self._associations = [association for association, _ in in_force.taxes]
        self._rates = {association.id: rate for association, rate in in_force.taxes}
        self._uses: defaultdict[tuple[str, str | None], int] = defaultdict(int, in_force.uses)
        self._times: defaultdict[str, int] = defaultdict(int)
        for (attachment_id, _), times in in_force.uses.items():
            self._times[attachment_id] += times
        self._prepaid = {payer: list(held) for payer, held in in_force.prepaid.items()}
        self._credits = {payer: list(held) for payer, held in in_force.credits.items()}

    def reckoned(self, drafted: Drafted) -> Drafted:
        invoice, lines = drafted.invoice, drafted.lines
        payer = Payer(invoice.customer_id, invoice.currency)
        coupons = self._taken_off(invoice, lines)
        taxes = self._asked(invoice)
        exempt = self._exempt(invoice, taxes)
        terms = Terms(
            discounts=[_discount(held, covered) for held, covered in coupons.values()],
            prepaid=self._prepaid.get(payer, ()),
            rates=[_rate(asked, spared=asked[0].id in exempt) for asked in taxes],
            credits=self._credits.get(payer, ()),
        )
        notes = self._notes(invoice, exempt, taxes)
        used = [held for held, _ in coupons.values()]
        if not (terms.discounts or terms.prepaid or terms.rates or terms.credits):
            return _sum(drafted, notes, self._in_force.settings)
        found = reckon(
            [Line(line.id, line.amount, line.kind.value) for line in lines],
            terms,
            currency=invoice.currency,
            decimals=minor_units(invoice.currency),
            rules=self._rules,
        )
        self._use_up(invoice, payer, found, {each[0].id: each[0] for each in used})
        applied = replace(
            applied_of(invoice, found, coupons=used, taxes=taxes, exempt=exempt),
            corrections=drafted.applied.corrections,
        )
        return Drafted(
            _with_totals(invoice, found, notes, self._in_force.settings),
            tuple(_with_shares(line, found, index) for index, line in enumerate(lines)),
            applied,
        )

    def _taken_off(self, invoice: Invoice, lines: Sequence[InvoiceLine]) -> dict[str, Covering]:
        """The coupons for the invoice, in their order, by the ids of their attachments. One that
        is attached at several levels counts at the narrowest, for each subscription's lines."""
        taken: dict[str, Covering] = {}
        for owner_id, mine in _by_owner(invoice, lines).items():
            found = [
                (held, covered)
                for held in self._candidates(invoice.customer_id, owner_id)
                if held[0].in_force(invoice.tax_point)
                and self._left(held, invoice)
                and (covered := _covered(held, mine))
            ]
            narrowest: dict[str, int] = {}
            for (attachment, coupon), _ in found:
                narrowest[coupon.id] = max(narrowest.get(coupon.id, 0), attachment.narrowness)
            for held, covered in found:
                attachment, coupon = held
                if attachment.narrowness == narrowest[coupon.id]:
                    _, before = taken.get(attachment.id, (held, frozenset[str]()))
                    taken[attachment.id] = held, before | covered
        order = _ORDERS[self._in_force.settings.coupon_order]
        return dict(sorted(taken.items(), key=lambda each: order(each[1][0])))

    def _candidates(self, customer_id: str, subscription_id: str | None) -> list[Held]:
        of_customer = self._coupons.get(customer_id, ())
        found = [held for held in of_customer if held[0].subscription_id is None]
        if subscription_id is not None:
            found += self._of_subscriptions.get(subscription_id, ())
        return found

    def _left(self, held: Held, invoice: Invoice) -> bool:
        """Whether it was not taken off as often already as it may be."""
        attachment, coupon = held
        most = coupon.most_invoices
        if most is None:
            return True
        if coupon.duration is CouponDuration.REPEATED:
            return self._uses[attachment.id, attachment.used_by(invoice.subscription_id)] < most
        return self._times[attachment.id] < most

    def _asked(self, invoice: Invoice) -> list[Asked]:
        taxed = Taxed(invoice.id, invoice.subscription_id, invoice.customer_id)
        found = winning(self._associations, taxed, invoice.tax_point)
        return [(association, self._rates[association.id]) for association in found]

    def _exempt(self, invoice: Invoice, taxes: Sequence[Asked]) -> dict[str, TaxExemption]:
        """By the association's id, why its tax is not charged."""
        exemptions = [
            each
            for each in self._exemptions.get(invoice.customer_id, ())
            if each.applies(invoice.tax_point)
        ]
        found = {}
        for association, rate in taxes:
            exemption = next((each for each in exemptions if each.covers(rate.id)), None)
            if exemption is not None:
                found[association.id] = exemption
        return found

    def _notes(
        self, invoice: Invoice, exempt: Mapping[str, TaxExemption], taxes: Sequence[Asked]
    ) -> tuple[str, ...]:
        used = list(exempt.values())
        if not taxes:  # nothing to spare them, and still to be said
            of_customer = self._exemptions.get(invoice.customer_id, ())
            used = [e for e in of_customer if e.applies(invoice.tax_point) and not e.tax_rate_ids]
        legend = self._in_force.settings.reverse_charge_legend
        return tuple(dict.fromkeys(each.note(legend) for each in used))

    def _use_up(
        self,
        invoice: Invoice,
        payer: Payer,
        found: Reckoned,
        attached: Mapping[str, CouponAttachment],
    ) -> None:
        for taken in (each for each in found.discounts if each.amount):
            user = attached[taken.discount.id].used_by(invoice.subscription_id)
            self._uses[taken.discount.id, user] += 1
            self._times[taken.discount.id] += 1
        for held, drawn in (
            (self._prepaid, found.prepaid),
            (self._credits, found.credits),
        ):
            amounts = {each.balance.id: found.sheet.major(each.amount) for each in drawn}
            held[payer] = [_less(each, amounts.get(each.id)) for each in held.get(payer, ())]


def rules_of(settings: AmountSettings) -> Rules:
    """The rules that an environment has chosen."""
    after = settings.prepaid_order == "after_tax"
    return Rules(
        stages=CREDITS_AFTER_TAX if after else CREDITS_BEFORE_TAX,
        spread=Spread(settings.discount_spread),
        tax_rounding=TaxRounding(settings.tax_rounding),
    )


def _less(balance: Balance, drawn: Decimal | None) -> Balance:
    if drawn is None:
        return balance
    return replace(balance, amount=EXACT.subtract(balance.amount, drawn))


def _by(rows: Sequence[Any], key: Callable[[Any], str | None]) -> dict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        owner = key(row)
        if owner is not None:
            found[owner].append(row)
    return found


def _by_owner(
    invoice: Invoice, lines: Sequence[InvoiceLine]
) -> dict[str | None, list[InvoiceLine]]:
    """The lines by their subscription; all of them where the invoice is of one, or of none."""
    if not invoice.subscription_ids:
        return {invoice.subscription_id: list(lines)}
    found: defaultdict[str | None, list[InvoiceLine]] = defaultdict(list)
    for line in lines:
        found[line.subscription_id].append(line)
    return dict(found)


def _covered(held: Held, lines: Sequence[InvoiceLine]) -> frozenset[str]:
    """The ids of the lines that the coupon may be taken off."""
    attachment, coupon = held
    return frozenset(
        line.id
        for line in lines
        if attachment.line_item_id in (None, line.subscription_line_item_id)
        and coupon.limits.cover(
            *(line.price.get(name) for name in ("plan_id", "lineage_id", "feature_id"))
        )
    )


def _discount(held: Held, covered: frozenset[str]) -> Discount:
    attachment, coupon = held
    return Discount(
        id=attachment.id,
        percent=coupon.percent_off,
        amount=coupon.amount_off,
        currency=coupon.currency,
        lines=covered,
        each=coupon.level is CouponLevel.LINE,
    )


def _rate(asked: Asked, *, spared: bool) -> Rate:
    association, rate = asked
    return Rate(
        id=association.id,
        percent=rate.percent,
        amount=rate.amount,
        currency=rate.currency,
        included=rate.inclusive,
        compound=rate.compound,
        priority=association.priority,
        charged=not spared,
    )


def _of_a_line(held: Held) -> bool:
    return held[1].level is CouponLevel.LINE or held[0].line_item_id is not None


def _breadth(held: Held) -> int:
    """0 for what is limited to a line, prices or features, 1 to plans, 2 for the others."""
    attachment, coupon = held
    if attachment.line_item_id or coupon.limits.price_ids or coupon.limits.feature_ids:
        return 0
    return 1 if coupon.limits.plan_ids else 2


def _attached(held: Held) -> tuple[Any, ...]:
    return held[0].created_at, held[0].id


_ORDERS: Mapping[str, Callable[[Held], tuple[Any, ...]]] = {
    "line_first": lambda held: (not _of_a_line(held), *_attached(held)),
    "narrowest_first": lambda held: (_breadth(held), *_attached(held)),
    "attached_first": _attached,
    "percentage_first": lambda held: (held[1].kind is CouponKind.FIXED, *_attached(held)),
    "fixed_first": lambda held: (held[1].kind is not CouponKind.FIXED, *_attached(held)),
}


def _sum(drafted: Drafted, notes: tuple[str, ...], settings: AmountSettings) -> Drafted:
    """The plain case: nothing lies between the lines and the amount due."""
    invoice = replace(
        drafted.invoice,
        totals=Totals.of(added(line.amount for line in drafted.lines)),
        tax_notes=notes,
        reckoning={"rules": _rules_kept(settings)},
    )
    lines = drafted.lines
    if drafted.applied is not NOTHING_APPLIED or any(line.shares for line in lines):
        nothing = Decimal(0)
        lines = tuple(
            replace(
                line, discount=nothing, prepaid=nothing, tax=nothing, tax_included=nothing,
                shares=None,
            )
            for line in lines
        )  # fmt: skip
    return Drafted(invoice, lines, Applied(corrections=drafted.applied.corrections))


def _with_totals(
    invoice: Invoice, found: Reckoned, notes: tuple[str, ...], settings: AmountSettings
) -> Invoice:
    return replace(
        invoice,
        totals=found.totals,
        tax_notes=notes,
        reckoning={
            "rules": _rules_kept(settings),
            "steps": explanation.to_json(steps.due(found)),
        },
    )


def _with_shares(line: InvoiceLine, found: Reckoned, index: int) -> InvoiceLine:
    amounts = found.lines[index]
    return replace(
        line,
        discount=amounts.discount,
        prepaid=amounts.prepaid,
        tax=amounts.tax,
        tax_included=amounts.tax_included,
        shares=[explanation.to_json(part) for part in steps.shares(found, index)],
    )


def _rules_kept(settings: AmountSettings) -> dict[str, str]:
    """The settings that led to the amounts, as the invoice keeps them."""
    names = ("coupon_order", "discount_spread", "prepaid_order", "tax_rounding")
    return {name: str(getattr(settings, name)) for name in names}
