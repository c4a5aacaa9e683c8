"""How parts of a period are measured, in the graph."""

import strawberry

from app.subscriptions.subscription import ProrateBy as ProrateBy

strawberry.enum(ProrateBy, description="How a part of a period is measured.")
