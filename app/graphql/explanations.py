"""How amounts came about, in the graph: trees of steps, down to the events that were counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import strawberry

from app.catalog.prices import Step
from app.graphql.context import Info
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.permissions import requires
from app.graphql.scalars import JSON
from app.graphql.usage_events import UsageEvent
from app.invoicing import explanation
from app.invoicing.selecting import Selector, selector, span_of
from app.metering import usage_events


@dataclass(frozen=True, slots=True)
class Behind:
    """Whose events the steps of a line have counted: a stored invoice's, as of its watermark, or
    those of a subscription's customer, as they are. `price` is the line's snapshot."""

    price: Mapping[str, Any]
    invoice_id: str | None = None
    customer_id: str | None = None
    subscription_id: str | None = None


@strawberry.type(
    description="A step on the way to an amount: its rule, applied to its inputs and to the "
    "results of the steps below it, gives its result exactly."
)
class ExplanationStep:
    index: int = strawberry.field(description="Its place in the list, from 0.")
    parent: int | None = strawberry.field(
        description="The index of the step that builds on this one; null: this is the amount."
    )
    rule: str = strawberry.field(description="Which rule, such as `tier`.")
    formula: str = strawberry.field(description="The rule in words.")
    inputs: JSON = strawberry.field(
        description="What the rule starts from, by name; numbers exactly, as text."
    )
    result: str = strawberry.field(
        description="What comes out, exactly: a decimal, or a fraction such as `2/3`."
    )
    step: strawberry.Private[Step]
    behind: strawberry.Private[Behind | None]

    @strawberry.field(
        description="How many events it counted when it was billed; null for steps that counted "
        "none of a meter."
    )
    def event_count(self) -> int | None:
        counts = self.step.rule == "counted" and self.step.inputs.get("meter_id") is not None
        stated = self.step.inputs.get("events") if counts else None
        return None if stated is None else int(stated)

    @strawberry.field(
        description="The very events it counted, by time and id, as of the invoice's watermark: "
        "as many as its `eventCount`, whatever was sent, voided or amended since, and what they "
        "add comes to its result. Null for steps that counted none of a meter.",
        extensions=[requires("usage:read")],
    )
    async def events(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[UsageEvent] | None:
        request = page_request(info, first=first, after=after, last=last, before=before)
        wanted = await self._wanted(info)
        if wanted is None:
            return None
        context = info.context
        meter = await context.load.meter.load(wanted.meter_id)
        customer = await context.load.customer.load(wanted.customer_id)
        if meter is None or customer is None:
            return None
        family = await context.load.memberships_of_parent.load(customer.id) if wanted.family else ()
        span = span_of(wanted, customer.external_id, family)
        if span is None:
            return None
        page = await usage_events.page(
            context.scope,
            context.runtime.clickhouse,
            meter,
            [span],
            request=request,
            group=wanted.group,
            of=wanted.of,
            as_of=wanted.as_of,
        )
        return Connection.of(page, UsageEvent.of)

    async def _wanted(self, info: Info) -> Selector | None:
        behind = self.behind
        if behind is None:
            return None
        customer_id, as_of = behind.customer_id, None
        if behind.invoice_id is not None:
            invoice = await info.context.load.invoice.load(behind.invoice_id)
            if invoice is None:
                return None
            as_of = invoice.usage_watermark
            customer_id = invoice.customer_id
        if behind.subscription_id is not None:  # its usage, whoever pays for it
            owner = await info.context.load.subscription.load(behind.subscription_id)
            customer_id = customer_id if owner is None else owner.customer_id
        if customer_id is None:
            return None
        return selector(self.step, behind.price, customer_id=customer_id, as_of=as_of)


def steps_of(tree: Step, behind: Behind | None = None) -> list[ExplanationStep]:
    """The tree as a list, every step after the one that builds on it.

    `behind` None: nothing of it was really used.
    """
    found: list[ExplanationStep] = []
    waiting: list[tuple[Step, int | None]] = [(tree, None)]
    while waiting:
        step, parent = waiting.pop()
        index, rule = len(found), explanation.RULES.get(step.rule)
        found.append(
            ExplanationStep(
                index=index,
                parent=parent,
                rule=step.rule,
                formula="" if rule is None else rule.formula,
                inputs=JSON(step.inputs),
                result=step.result,
                step=step,
                behind=behind,
            )
        )
        waiting.extend((part, index) for part in reversed(step.parts))
    return found
