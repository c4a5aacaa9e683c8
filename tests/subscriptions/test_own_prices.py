"""Prices of a subscription's own, as far as they are arithmetic and rules."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.catalog.price import ChargeKind
from app.catalog.price_override import PriceOverride, instead, terms_between
from app.catalog.prices import Adjustments, Flat, PerUnit
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.subscriptions import committing
from app.subscriptions.buying import check_overrides, quantities
from app.subscriptions.change import (
    AttachAddon,
    ChangeAddonQuantity,
    ChangePlan,
    ChangePrice,
    DetachAddon,
    SubscriptionChangeKind,
    kind_of,
    terms_of,
    what_of,
)
from app.subscriptions.changes.lines import repriced
from app.subscriptions.commitments import Commitment, CommitmentTerms, HeldCommitment
from app.subscriptions.errors import LineHasNoQuantity, NothingChanges
from app.subscriptions.subscription import Held, Override
from tests.subscriptions import make

JAN, FEB, MID, MAR = (
    datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC),
    datetime(2026, 2, 14, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC),
)  # fmt: skip
CHEAPER = PriceOverride(
    model=PerUnit(Decimal("7.50")), adjustments=Adjustments(free_units=Decimal(3))
)
LIST = replace(make.price(), content_hash="list", lookup_key="seats")


def own_of(price, terms=CHEAPER, at=MID):
    made = instead(price, terms, subscription_id="sub_1", starts_at=at, at=at)
    return replace(made, content_hash=f"own of {price.id}")


def test_a_price_of_its_own_is_the_same_charge_at_other_terms():
    own = own_of(LIST)
    assert (own.subscription_id, own.overrides_id, own.catalogue_id) == ("sub_1", LIST.id, LIST.id)
    assert (own.plan_id, own.plan_version_id, own.addon_id, own.offered) == (None,) * 3 + (False,)
    assert (own.lineage_id, own.sold_with_plan_id) == (LIST.lineage_id, LIST.plan_id)
    assert (own.lookup_key, own.effective_from, own.effective_until) == (None, MID, None)
    assert (own.model, own.adjustments) == (CHEAPER.model, CHEAPER.adjustments)
    assert terms_between(own, LIST) == CHEAPER
    again = own_of(own, PriceOverride(model=Flat(Decimal(1))), at=MAR)
    assert (again.overrides_id, again.replaces_id) == (LIST.id, own.id)
    assert (again.sold_with_plan_id, again.adjustments) == (LIST.plan_id, CHEAPER.adjustments)


@pytest.mark.parametrize(
    "what",
    [
        ChangePrice(line_item_id="sli_1", terms=CHEAPER, quantity=Decimal("2.5")),
        ChangePrice(line_item_id="sli_1", terms=PriceOverride()),
        ChangePrice(line_item_id="sli_1", terms=None),
        AttachAddon(addon_id="addon_1", quantity=Decimal(2)),
        DetachAddon(holding_id="hold_1"),
        ChangeAddonQuantity(holding_id="hold_1", quantity=Decimal("1.5")),
        ChangePlan(
            plan_id="plan_1",
            overrides=(Override(price_id="pri_1", terms=CHEAPER, quantity=Decimal(4)),),
            keeps_overrides=True,
        ),
    ],
)
def test_what_a_change_is_to_do_is_kept_as_it_was_asked(what):
    change = type("Row", (), {"kind": kind_of(what), "terms": terms_of(what)})
    assert what_of(change) == what
    assert (kind_of(what) is SubscriptionChangeKind.PRICE) is isinstance(what, ChangePrice)


def test_overrides_name_what_is_bought_once_and_say_something():
    for wanted, field, code in [
        ([Override(price_id="other", terms=CHEAPER)], "overrides[0].priceId", "INVALID_OVERRIDES"),
        ([Override(price_id=LIST.id, terms=CHEAPER)] * 2, "overrides[1].priceId",
         "INVALID_OVERRIDES"),
        ([Override(price_id=LIST.id)], "overrides[0]", "REQUIRED"),
    ]:  # fmt: skip
        with pytest.raises(Invalid) as refused:
            check_overrides([LIST], wanted)
        assert (refused.value.field, refused.value.code) == (field, code)
    three = Override(price_id=LIST.id, quantity=Decimal(3))
    assert quantities([LIST], (), [three]) == {LIST.id: 3}
    with pytest.raises(Invalid) as refused:
        quantities([LIST], [Held(LIST.id, Decimal(2))], [three])
    assert (refused.value.field, refused.value.code) == (
        "overrides[0].priceId", "INVALID_QUANTITIES",
    )  # fmt: skip


def test_a_line_at_another_price_takes_over_where_the_former_ends():
    line = make.line(starts_at=JAN, quantity=Decimal(2), line_key="sli_0")
    own = own_of(LIST)
    swap = repriced((line, LIST), own, None, at=MID)
    ((opened, price),) = swap.opened
    assert swap.closed == ((line, LIST),)
    assert (opened.starts_at, opened.quantity, opened.line_key) == (MID, 2, "sli_0")
    assert (opened.price_id, opened.replaces_id, price) == (own.id, line.id, own)
    ((more, same),) = repriced((line, LIST), LIST, Decimal(5), at=MID).opened
    assert (more.quantity, same) == (5, LIST)
    with pytest.raises(NothingChanges):
        repriced((line, LIST), LIST, None, at=MID)
    usage = replace(LIST, charge=ChargeKind.USAGE)
    with pytest.raises(LineHasNoQuantity):
        repriced((line, usage), own, Decimal(1), at=MID)


def test_a_commitment_is_settled_with_the_old_price_and_holds_again_from_the_next_period():
    usage = replace(make.price(ChargeKind.USAGE), model=PerUnit(Decimal(1)))
    promised = CommitmentTerms(Commitment(amount=Decimal(50), true_up=True), usage.id)
    whole = CommitmentTerms(Commitment(amount=Decimal(80)))
    subscription = make.row(
        starts_at=JAN, anchor=JAN, commitments=(HeldCommitment(promised), HeldCommitment(whole))
    )
    own = own_of(usage)
    assert committing.repriced(subscription, own, at=MID) == (
        HeldCommitment(promised, ends_at=MID),
        HeldCommitment(promised, starts_at=MAR),
        HeldCommitment(whole),
    )
    assert committing.repriced(subscription, own, at=FEB)[:2] == (
        HeldCommitment(promised, ends_at=FEB),
        HeldCommitment(promised, starts_at=FEB),
    )
    cells = replace(own, group_by=("region",))
    with pytest.raises(Invalid) as refused:
        committing.repriced(subscription, cells, at=MID)
    assert refused.value.code == "COMMITMENT_NOT_APPLICABLE"
    named = committing.checked([replace(promised, price_id=own.id)], [own], subscription.cadence)
    assert named == (promised,)
