"""The kinds of due work of this domain: rows of the table of due items, one per subject.

`subscription.bill` is scheduled where subscriptions are made and moved where they are billed.
"""

BILL = "subscription.bill"  # a subscription: its next point is reached
THRESHOLD = "subscription.threshold"  # a subscription: its usage is compared with its threshold
MIGRATE = "subscription.migrate"  # of a bulk migration: its subscription has its turn
CHANGE = "subscription.change"  # a change of a subscription: it takes effect
CREDIT = "subscription.credit"  # a change: what it left unused is given back of an issued invoice
FINALIZE = "invoice.finalize"  # a draft: its wait for late events is over
PRINT = "invoice.print"  # an issued invoice: its PDF is to be stored
CORRECT = "invoice.correct"  # an environment: usage it has billed is looked at again
