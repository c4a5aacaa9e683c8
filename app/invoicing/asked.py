"""What has to be asked of the meters for an entry of a bill. Pure, but for the names of customers.

What is asked of a price is worked out once for all who have it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from msgspec import Struct

from app.catalog.price import Price
from app.catalog.prices.needs import Needs, needs
from app.customers import reads as customers
from app.customers.family import Membership, others_of
from app.invoicing.bills import Entry
from app.invoicing.selecting import outside
from app.kernel.copies import replace
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering.usage import Span, Split
from app.metering.windows import Window
from app.subscriptions.family import is_per_customer, within
from app.subscriptions.periods import paused_within
from app.subscriptions.subscription import Subscription

# What is asked in one query: a meter's id, and how its usage is taken apart.
Question = tuple[str, Split]


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of a price in a time zone, and what the price needs to know.

    `main`: the figures per group; of a formula, those of the meter that the price is for. `whole`:
    those of all groups together, where they are priced so. `named`: those of a formula's
    variables. `shares`: of each of a family, as `main` without windows and without a walk.
    `totals`: what allowances have to know.
    """

    needs: Needs
    main: Question
    whole: Question | None
    named: Mapping[str, Question]
    shares: Question
    totals: Question

    @classmethod
    def of(cls, price: Price, zone: ZoneInfo) -> "Questions":
        """Raises: ValueError (it charges for usage and has no meter)."""
        if price.meter_id is None:
            raise ValueError(f"usage price {price.id} has no meter")
        meter, group_by = price.meter_id, price.group_by
        needed = needs(price.model, price.adjustments, grouped=bool(group_by))
        window = None if needed.bucket is None else Window(needed.bucket)
        timed = Split(window=window, zone=None if window is None else zone)
        split = Split((*group_by, *needed.apart), needed.rows, needed.walk)
        main = replace(split, window=timed.window, zone=timed.zone)
        return cls(
            needed,
            main=(meter, split if needed.whole else main),
            whole=(meter, timed) if needed.whole else None,
            named={name: (id_, Split(group_by)) for name, id_ in needed.meters if id_ is not None},
            shares=(meter, Split(split.group_by, split.rows)),
            totals=(meter, Split()),
        )


# By the ids of price and time zone.
Known = dict[tuple[str, str], Questions]


class Asked(Struct, frozen=True):
    """A usage entry of a bill, the span it is about, and what is asked of its price.

    `memberships` are those of the customer's family, where its usage counts.
    """

    entry: Entry
    span: Span
    questions: Questions
    subscription: Subscription
    memberships: tuple[Membership, ...] = ()

    @property
    def needs(self) -> Needs:
        return self.questions.needs

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.subscription.timezone)

    @property
    def spans(self) -> Iterator[tuple[Question, Span]]:
        """Everything that is asked, with what it is asked about."""
        asked = self.questions
        yield asked.main, self.span
        for question in asked.named.values():
            yield question, self.span
        if asked.whole is not None:
            yield asked.whole, self.span
        for span in self.included.values():
            yield asked.totals, span
        for span in self.members.values():
            yield asked.shares, span

    @property
    def included(self) -> dict[Period, Span]:
        """What allowances have to know: the totals of these periods, but for what is paused."""
        asked = self.entry.included.asked(self.entry.service.period)
        if not asked:
            return {}
        return {
            period: replace(self.span, period=period, gaps=paused_within(self.subscription, period))
            for period in sorted(asked)
        }

    @property
    def family(self) -> tuple[Period, ...]:
        """The parts of the service period in which the family's usage counts."""
        return within(self.subscription.families, self.span.period)

    @property
    def members(self) -> dict[tuple[str, str], Span]:
        """What each of the family used, by id and name, where they have lines of their own."""
        period, families = self.span.period, self.subscription.families
        if not is_per_customer(families, period):
            return {}
        parent = self.subscription.customer_id, self.span.external_customer_id
        found = {parent: replace(self.span, others=())}
        by_member: defaultdict[tuple[str, str], list[Membership]] = defaultdict(list)
        for each in self.memberships:
            by_member[each.customer_id, each.external_id].append(each)
        for member, mine in by_member.items():
            gaps = outside(mine, period, self.family, self.span.gaps)
            span = Span(member[1], period, gaps)
            if not span.is_empty:
                found[member] = span
        return found


@dataclass(frozen=True, slots=True)
class Names:
    """The names that events carry, by the ids of customers, and the families of parents."""

    external: Mapping[str, str]
    families: Mapping[str, Sequence[Membership]]


async def names_of(scope: Scope, subscriptions: Iterable[Subscription]) -> Names:
    """Of the subscriptions' customers: a statement, and one more where any counts a family."""
    listed = list(subscriptions)
    external = await customers.external_ids(scope, {each.customer_id for each in listed})
    parents = {each.customer_id for each in listed if each.families}
    families = await customers.memberships_of(scope, parents) if parents else {}
    return Names(external, families)


def asked_of(subscription: Subscription, entry: Entry, names: Names, known: Known) -> Asked:
    """What has to be counted for an entry. `known` is what is asked of prices, which is added to.

    Raises: ValueError (a price has no meter).
    """
    price, service, zone = entry.price, entry.service, subscription.timezone
    questions = known.get((price.id, zone))
    if questions is None:
        questions = known[price.id, zone] = Questions.of(price, ZoneInfo(zone))
    customer_id, families = subscription.customer_id, subscription.families
    memberships = tuple(names.families.get(customer_id, ())) if families else ()
    others = others_of(memberships, [each.period for each in families]) if families else ()
    span = Span(names.external[customer_id], service.period, service.paused, others)
    return Asked(entry, span, questions, subscription, memberships)
