"""What can be done with a subscription: one function per verb, each one transaction."""

from app.subscriptions.actions.advance import Billed, advance
from app.subscriptions.actions.cancel import cancel
from app.subscriptions.actions.create import create
from app.subscriptions.actions.update import update

__all__ = ["Billed", "advance", "cancel", "create", "update"]
