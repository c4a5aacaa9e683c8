"""What may be done with a subscription in which status, and what a refusal says."""

from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import product

import pytest

from app.infra.postgres import writing
from app.kernel.clock import FixedClock
from app.kernel.errors import Conflict, Invalid
from app.kernel.scope import SYSTEM
from app.subscriptions import actions, reads
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.pausing import PauseMode, PauseSubscription, ResumeSubscription
from app.subscriptions.changes.pending import ChangeKind
from app.subscriptions.subscription import CancelMode, SubscriptionStatus
from tests.catalog.history import audited, refused, told
from tests.subscriptions import make
from tests.subscriptions.make import at

START, NOW = at(2026, 1, 15, 12), at(2026, 1, 20, 12)
LATER, FAR = at(2026, 3, 1), at(2026, 12, 1)


@pytest.fixture
def clock():
    return FixedClock(START)


async def cancel(scope, id_, clock, **command):
    command = CancelSubscription(**command)
    return await actions.cancel(scope, id_, command, by=SYSTEM, at=clock.now())


async def pause(scope, id_, clock, **command):
    command = PauseSubscription(**command)
    return await actions.pause(scope, id_, command, by=SYSTEM, at=clock.now())


async def resume(scope, id_, clock, **command):
    command = ResumeSubscription(**command)
    return await actions.resume(scope, id_, command, by=SYSTEM, at=clock.now())


async def update(scope, id_, clock, **patch):
    return await actions.update(scope, id_, patch, by=SYSTEM, at=clock.now())


async def simply(verb, scope, id_, clock, *args):
    return await verb(scope, id_, *args, by=SYSTEM, at=clock.now())


AT = CancelMode.AT
VERBS = {
    "activate": partial(simply, actions.activate),
    "cancel now": partial(cancel, mode=CancelMode.NOW),
    "cancel": cancel,
    "cancel at": partial(cancel, mode=AT, at=LATER),
    "uncancel": partial(simply, actions.uncancel),
    "pause": pause,
    "pause at period end": partial(pause, mode=PauseMode.PERIOD_END),
    "pause at": partial(pause, mode=PauseMode.AT, at=LATER),
    "resume": resume,
    "resume at": partial(resume, at=LATER),
    "set trial end": lambda *args: simply(actions.set_trial_end, *args, at(2026, 2, 10)),
    "update terms": partial(update, net_days=14),
    "update end": partial(update, ends_at=FAR),
    "update start": partial(update, starts_at=LATER),
    "update notes": partial(update, metadata={"a": "b"}),
    "take cancel back": lambda *args: simply(actions.cancel_change, *args, ChangeKind.CANCEL),
    "take pause back": lambda *args: simply(actions.cancel_change, *args, ChangeKind.PAUSE),
    "take resume back": lambda *args: simply(actions.cancel_change, *args, ChangeKind.RESUME),
    "take trial back": lambda *args: simply(actions.cancel_change, *args, ChangeKind.TRIAL_END),
}
# What each verb is refused with, by state; where nothing is said it is done.
OVER = {"canceled": "SUBSCRIPTION_OVER", "ended": "SUBSCRIPTION_OVER"}
RUNS = OVER | {"draft": "SUBSCRIPTION_DRAFT"}
ALL = ("draft", "scheduled", "trialing", "active", "leaving", "pausing", "paused")
NOT_DRAFT = OVER | dict.fromkeys(ALL[1:], "SUBSCRIPTION_NOT_DRAFT")
ONE_PAUSE = {"pausing": "PAUSE_PENDING", "paused": "PAUSE_PENDING"}
EARLY = {"scheduled": "SUBSCRIPTION_NOT_STARTED", "trialing": "SUBSCRIPTION_TRIALING"}
PENDING = {"leaving": "CANCELLATION_PENDING"}
BEYOND = {"leaving": "INVALID_AT"}
NO_PAUSE = dict.fromkeys(ALL[1:-1], "SUBSCRIPTION_NOT_PAUSED")
NO_TRIAL = dict.fromkeys(
    ("scheduled", "active", "leaving", "pausing", "paused"), "SUBSCRIPTION_NOT_TRIALING"
)


def nothing(*but):
    return RUNS | {state: "NOTHING_PENDING" for state in ALL[1:] if state not in but}


REFUSED = {
    "activate": NOT_DRAFT,
    "cancel now": OVER,
    "cancel": RUNS | PENDING,
    "cancel at": RUNS | PENDING,
    "uncancel": nothing("leaving"),
    "pause": RUNS | ONE_PAUSE | EARLY,
    "pause at period end": RUNS | ONE_PAUSE | EARLY | BEYOND,
    "pause at": RUNS | ONE_PAUSE | BEYOND,
    "resume": RUNS | NO_PAUSE,
    "resume at": RUNS | NO_PAUSE,
    "set trial end": RUNS | NO_TRIAL,
    "update terms": OVER,
    "update end": OVER | PENDING,
    "update start": NOT_DRAFT,
    "update notes": {},
    "take cancel back": nothing("leaving"),
    "take pause back": nothing("pausing"),
    "take resume back": nothing("paused"),
    "take trial back": nothing("trialing"),
}
STATES = (*ALL, "canceled", "ended")


async def states(scope, clock):
    """A subscription in each state at NOW, as its verbs and billing leave it."""
    customer, plan = await make.customer(scope, clock), await make.plan(scope, clock)

    async def made(**fields):
        fields = {"customer_id": customer.id, "plan_id": plan.id} | fields
        return await make.subscription(scope, clock, **fields)

    found = {
        "draft": await made(draft=True),
        "scheduled": await made(starts_at=at(2026, 2, 1)),
        "trialing": await made(trial_days=20),
        "ended": await made(ends_at=at(2026, 1, 18)),
        **{state: await made() for state in ("active", "leaving", "pausing", "paused", "canceled")},
    }
    ids = {state: subscription.id for state, subscription in found.items()}
    await make.bill(scope, ids.values(), clock.now())
    clock.at = NOW
    await make.bill(scope, ids.values(), clock.now())
    await actions.set_trial_end(scope, ids["trialing"], at(2026, 2, 20), by=SYSTEM, at=NOW)
    await cancel(scope, ids["leaving"], clock)
    await pause(scope, ids["pausing"], clock, mode=PauseMode.PERIOD_END)
    await pause(scope, ids["paused"], clock, resumes_at=at(2026, 4, 1))
    await cancel(scope, ids["canceled"], clock, mode=CancelMode.NOW)
    clock.at += timedelta(days=1)
    await make.bill(scope, ids.values(), clock.now())
    return ids


class Undone(Exception):
    """Ends a transaction that was only to be looked at."""


@asynccontextmanager
async def done(scope, id_):
    """The block changes the subscription once, with an entry in the audit log and the news; then
    all is as it was."""
    with suppress(Undone):
        async with writing(scope):
            before, entries = await reads.get(scope, id_), await audited(scope, id_)
            news = await told(scope, id_)
            yield
            assert (await reads.get(scope, id_)).revision == before.revision + 1
            assert len(await audited(scope, id_)) == len(entries) + 1
            assert len(await told(scope, id_)) == len(news) + 1
            raise Undone


async def test_the_states_are_what_they_are_called(database, scope, clock):
    ids = await states(scope, clock)
    found = await reads.by_ids(scope, ids.values())
    status = {state: found[id_].status for state, id_ in ids.items()}
    alike = {"leaving": "active", "pausing": "active"}
    assert status == {s: SubscriptionStatus(alike.get(s, s)) for s in STATES}
    counted = await reads.count_by_status(scope)
    assert counted == {s: 3 if s == "active" else 1 for s in SubscriptionStatus}


async def test_each_verb_is_done_or_refused_by_status(database, scope, clock):
    ids = await states(scope, clock)
    for verb, state in product(VERBS, STATES):
        code = REFUSED[verb].get(state)
        with explained(f"{verb} while {state}: {code or 'done'}"):
            if code is None:
                async with done(scope, ids[state]):
                    await VERBS[verb](scope, ids[state], clock)
            else:
                error = Invalid if code == "INVALID_AT" else Conflict
                async with refused(scope, error, code, field_of(verb, code)):
                    await VERBS[verb](scope, ids[state], clock)


def field_of(verb, code):
    if code == "CANCELLATION_PENDING":
        return "endsAt" if verb == "update end" else "mode"
    return "at" if code == "INVALID_AT" else "id"


@contextmanager
def explained(note):
    try:
        yield
    except BaseException as error:
        error.add_note(note)
        raise
