"""What can be done with a subscription: one function per verb, each one transaction.

Asking twice is harmless: what is done already is refused by a code that says so, and changes
nothing. Every verb locks the subscription's row before it reads it and writes it on condition
that it is the one that was read.
"""

from app.subscriptions.actions.activate import activate
from app.subscriptions.actions.addons import buy as buy_addons
from app.subscriptions.actions.advance import Billed, advance
from app.subscriptions.actions.cancel import cancel, uncancel
from app.subscriptions.actions.changes import cancel_change
from app.subscriptions.actions.changing import Applied, RequestChange
from app.subscriptions.actions.create import create
from app.subscriptions.actions.family import (
    archive_customer,
    create_customer,
    restore_customer,
    update_customer,
)
from app.subscriptions.actions.move import move_customer
from app.subscriptions.actions.pause import pause, resume
from app.subscriptions.actions.phasing import set_phases
from app.subscriptions.actions.thresholds import bill_usage_until, watch_again
from app.subscriptions.actions.trial import set_trial_end
from app.subscriptions.actions.update import update

__all__ = [
    "Applied",
    "Billed",
    "RequestChange",
    "activate",
    "advance",
    "archive_customer",
    "bill_usage_until",
    "buy_addons",
    "cancel",
    "cancel_change",
    "create",
    "create_customer",
    "move_customer",
    "pause",
    "restore_customer",
    "resume",
    "set_phases",
    "set_trial_end",
    "uncancel",
    "update",
    "update_customer",
    "watch_again",
]
