"""Phases as far as they are arithmetic and rules."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.catalog.price import ChargeKind
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.period import Cadence
from app.subscriptions.change import (
    ChangeMode,
    ChangePlan,
    PhaseTerms,
    Proration,
    SubscriptionChange,
    SubscriptionChangeKind,
    SubscriptionChangeStatus,
    kind_of,
    terms_of,
    what_of,
)
from app.subscriptions.commitments import Commitment, CommitmentTerms, HeldCommitment
from app.subscriptions.committing import phased
from app.subscriptions.phases import (
    MOST,
    Phase,
    PhasesEnd,
    SetPhases,
    arranged,
    canceled_by,
    spans,
)
from app.subscriptions.subscription import Cancellation, CancelMode, Held
from tests.subscriptions import make

FEB, MID, MAR, APR = (
    datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 14, tzinfo=UTC),
    datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC),
)  # fmt: skip
CALLS = replace(make.price(ChargeKind.USAGE), id="pri_calls", content_hash="calls")


def phase(starts_at, ends_at=None):
    return Phase(starts_at=starts_at, ends_at=ends_at, what=ChangePlan())


def agreed(*phases, at_end=PhasesEnd.CONTINUE):
    return SetPhases(subscription_id="sub_1", phases=phases, at_end=at_end)


def promised(amount, price_id=None, **fields):
    terms = CommitmentTerms(Commitment(Decimal(amount), true_up=True), price_id)
    return HeldCommitment(terms, **fields)


def row(what, effective_at, status=SubscriptionChangeStatus.SCHEDULED):
    return SubscriptionChange(
        id=f"schg_{effective_at:%m%d}",
        subscription_id="sub_1",
        customer_id="cus_1",
        kind=kind_of(what),
        status=status,
        mode=ChangeMode.AT,
        proration=Proration.NONE,
        effective_at=effective_at,
        applied_at=None,
        canceled_at=None,
        failure=None,
        terms=terms_of(what),
        direction=None,
        closed_ids=(),
        opened_ids=(),
        invoice_id=None,
        credit_note_ids=(),
        created_at=FEB,
        updated_at=FEB,
    )


def test_a_phase_is_kept_as_it_was_asked_for():
    yearly = replace(promised("1.50", "pri_1").terms, duration=Cadence("year"))
    what = ChangePlan(
        quantities=(Held("pri_1", Decimal(50)),),
        phase=PhaseTerms(commitments=(yearly,), ends_at=APR, cancels=True),
    )
    change = row(what, MAR)
    assert (change.kind, what_of(change)) == (SubscriptionChangeKind.PHASE, what)
    assert kind_of(replace(what, phase=None)) is SubscriptionChangeKind.PLAN


def test_each_phase_begins_where_the_one_before_ends():
    first, last = arranged(agreed(phase(FEB, MAR), phase(MAR, APR), at_end=PhasesEnd.CANCEL))
    assert first.what.phase == PhaseTerms()
    assert last.what.phase == PhaseTerms(ends_at=APR, cancels=True)
    (alone,) = arranged(agreed(phase(FEB, MAR)))
    assert alone.what.phase == PhaseTerms(ends_at=MAR)
    assert arranged(agreed()) == ()
    many = [phase(FEB.replace(year=2027 + year)) for year in range(MOST + 1)]
    for given, at_end, field, code in [
        ([phase(MAR), phase(FEB)], "continue", "phases[1].startsAt", "INVALID_PHASES"),
        ([phase(MAR), phase(MAR)], "continue", "phases[1].startsAt", "INVALID_PHASES"),
        ([phase(FEB, MID), phase(MAR)], "continue", "phases[1].startsAt", "INVALID_PHASES"),
        ([phase(FEB, APR), phase(MAR)], "continue", "phases[1].startsAt", "INVALID_PHASES"),
        ([phase(FEB), phase(MAR, MAR)], "continue", "phases[1].endsAt", "INVALID_PHASES"),
        (many, "continue", "phases", "INVALID_PHASES"),
        ([phase(FEB), phase(MAR)], "cancel", "phases[1].endsAt", "REQUIRED"),
        ([], "cancel", "phases", "REQUIRED"),
    ]:
        with pytest.raises(Invalid) as refused:
            arranged(agreed(*given, at_end=PhasesEnd(at_end)))
        assert (refused.value.field, refused.value.code) == (field, code)


def test_phases_last_until_the_next_and_the_last_until_its_end():
    stays = ChangePlan(phase=PhaseTerms())
    ends = ChangePlan(phase=PhaseTerms(ends_at=APR))
    cancels = ChangePlan(phase=PhaseTerms(ends_at=APR, cancels=True))
    going = make.row()

    def seen(subscription, *rows):
        return [(each.change.effective_at, each.ends_at) for each in spans(subscription, rows)]

    assert seen(going) == []
    assert seen(going, row(stays, MAR), row(stays, FEB)) == [(FEB, MAR), (MAR, None)]
    assert seen(going, row(ends, MAR)) == [(MAR, APR)]
    # One that was to be the last, until others were agreed on.
    assert seen(going, row(cancels, FEB), row(stays, MAR)) == [(FEB, MAR), (MAR, None)]
    canceled = Cancellation(requested_at=FEB, mode=CancelMode.AT)
    over = replace(going, ends_at=APR, cancellation=canceled)
    assert (seen(over, row(cancels, MAR)), seen(going, row(cancels, MAR))) == (
        [(MAR, APR)], [(MAR, None)],
    )  # fmt: skip
    assert canceled_by(over, [row(stays, FEB), row(cancels, MAR)])
    for other in (
        replace(over, ends_at=MAR),
        replace(over, cancellation=replace(canceled, mode=CancelMode.PERIOD_END)),
        replace(over, cancellation=None),
    ):
        assert not canceled_by(other, [row(cancels, MAR)])
    assert not canceled_by(over, [row(ends, MAR)])


def test_what_is_promised_changes_with_the_first_period_of_a_phase():
    held = replace(make.row(), commitments=(promised(100), promised(30, "pri_calls")))
    fewer = promised(50).terms
    # With a period: from then on, and the other is settled; within one: with the next.
    for at, boundary in ((MAR, MAR), (MID, MAR)):
        assert phased(held, (), {}, (fewer,), at=at) == (
            promised(100, ends_at=boundary),
            promised(30, "pri_calls", ends_at=boundary),
            promised(50, starts_at=boundary),
        )
    stays = phased(held, (), {}, (promised(100).terms,), at=MID)
    assert stays == (promised(100), promised(30, "pri_calls", ends_at=MAR))
    # Nothing said of it: as before, but where the price is another, or gone.
    assert phased(held, (), {}, None, at=MID) == held.commitments
    assert phased(held, {"pri_calls"}, {"pri_calls": CALLS}, None, at=MID) == (
        promised(100), promised(30, "pri_calls", ends_at=MID),
        promised(30, "pri_calls", starts_at=MAR),
    )  # fmt: skip
    gone = (promised(100), promised(30, "pri_calls", ends_at=MID))
    assert phased(held, {"pri_calls"}, {}, None, at=MID) == gone
    # Settled with what was used until then, whatever holds from the next period on.
    assert phased(held, {"pri_calls"}, {"pri_calls": CALLS}, (fewer,), at=MID) == (
        promised(100, ends_at=MAR), promised(30, "pri_calls", ends_at=MID),
        promised(50, starts_at=MAR),
    )  # fmt: skip
