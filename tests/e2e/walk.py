"""Makes a request for every root field of the schema, and finds where identities go in.

An identity is an id, or a text by which something is found or that must be unique. Each place
for one is a slot; a request is built around what the caller knows, with one slot attacked.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    get_named_type,
    is_composite_type,
    is_required_argument,
    is_required_input_field,
    parse,
)

from app.graphql.limits import Limits, plan_cost, total

# Words of a selection: the API takes 500 fields at most.
LARGEST: Final = 500
TEACH: Final = "; teach tests/e2e/walk.py about it"

# Inputs of type ID whose name does not say what they identify.
ID_NAMES: Final[Mapping[str, str]] = {
    "after": "tenant",  # of `tenants`
    "principalId": "user",
    "actorId": "actor",
    "createdBy": "actor",
    "entityId": "customer",
    "requestId": "request",
    "parentId": "parentCustomer",
    "price.lineageId": "price",  # the first of a lineage gives it its id
    "planClone.environmentId": "home",  # a key opens no other
    "planVersionDiff.fromId": "planVersion",
    "planVersionDiff.toId": "planVersion",
    "heldQuantity.priceId": "fixedPrice",
    "quotedPrice.id": "price",
    "imaginedUsage.priceId": "price",
    "invoicePreview.subscriptionId": "runningSubscription",
    "priceCreate.groupId": "priceGroup",
    "priceUpdate.groupId": "priceGroup",
    "price.groupId": "priceGroup",
    "invoiceUpdate.id": "draftInvoice",
    "invoiceLineChange.id": "draftLine",
    "removeLines": "removedLine",
    "subscriptionPauseInput.id": "pausedSubscription",
    "subscriptionUpdate.id": "draftSubscription",
    "subscriptionCreate.priceIds": "fixedPrice",
    "subscriptionPause.subscriptionId": "pausedSubscription",
    "entitlement.subscriptionId": "pausedSubscription",
    "lineId": "invoiceLine",
    "couponDetach.id": "couponAttachment",
    "taxAssociationCreate.invoiceId": "draftInvoice",
    "taxAssociation.invoiceId": "draftInvoice",
    "consolidatedIntoId": "wholeInvoice",
    "changeId": "subscriptionChange",
    "migrationId": "planMigration",
    # One that is not over, so that there is something to migrate, and to another plan.
    "subscriptionFilter.id": "runningSubscription",
    "planMigrationStart.planId": "otherPlan",
    "planMigrationStart.planVersionId": "otherPlanVersion",
    "planMigration.planId": "otherPlan",
    "planMigration.planVersionId": "otherPlanVersion",
    "planMigrationItem.subscriptionId": "pausedSubscription",
    "fromPlanVersionId": "planVersion",
    "replacesId": "subscriptionLineItem",
    "lineItemId": "runningLine",
    "subscriptionChange.subscriptionId": "runningSubscription",
    "subscriptionQuantityChange.id": "runningSubscription",
    "subscriptionPlanChange.id": "runningSubscription",
    "subscriptionPriceChange.id": "runningSubscription",
    "subscriptionPriceRestore.id": "runningSubscription",
    "subscriptionAddonAttach.id": "runningSubscription",
    "subscriptionAddonDetach.id": "runningSubscription",
    "subscriptionAddonQuantityChange.id": "runningSubscription",
    "subscriptionPhasesSet.id": "runningSubscription",
    "subscriptionPhase.priceIds": "fixedPrice",
    "subscriptionPriceOverride.priceId": "fixedPrice",
    "price.subscriptionId": "draftSubscription",
    "price.overridesId": "fixedPrice",
}
# Texts that identify: by the name of the input, what of a world it is.
TEXT_NAMES: Final[Mapping[str, str]] = {
    "externalId": "externalId",
    "externalCustomerId": "externalId",
    "externalCustomerIds": "externalId",
    "eventId": "eventId",
    "eventName": "eventName",
    "lookupKey": "lookupKey",
    "code": "lookupKey",
    "couponCodes": "lookupKey",
    "features": "lookupKey",  # or ids, of `access`
    "number": "number",
    "email": "email",
    "name": "name",
    "displayName": "name",
    "prefix": "prefix",
    "role": "role",  # by id, or the name of one that all tenants have
    "roles": "role",
    "search": "name",
    "invoices.search": "number",
    "creditNotes.search": "creditNumber",
    "subscriptions.search": "purchaseOrder",
    "creditNote.number": "creditNumber",
    "new eventVoid.eventId": "corrected",
    "new eventAmend.eventId": "corrected",
    "key": "key",
}
# Texts of a mutation that something is found by; the others only claim a name for themselves.
LOOKED_UP: Final = {"role", "roles", "eventId", "couponCodes"}
# Mutations that look everything up, also what others claim, such as a code.
LOOKING: Final = {"couponAttach", "taxAssociationCreate"}
# Optional arguments of a root field that have to be there, beside the one in question.
BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "access(features.0)": ("externalCustomerId",),
    "invoicePreview(usage.0.priceId)": ("subscriptionId",),
    "usageUpdated(meterId)": ("externalCustomerId", "start"),
    "usageUpdated(externalCustomerId)": ("start",),
    "usageUpdated(customerId)": ("start",),
}
_ATTACHED: Final = (
    ("couponId", "code"),
    ("customerId", "subscriptionId", "subscriptionLineItemId"),
)
_SUBSCRIBED: Final = (
    ("couponIds", "couponCodes"),
    # Of all prices, unless some are chosen; of the first phase or of another.
    ("priceIds", "quantities", "commitments", "overrides", "phases", "addons"),
)
# Of each group of these inputs exactly one is given: the one in question, else the first.
ONE_OF: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "customerCreate": (("parentId", "testClockId"),),  # a child lives on the clock of its parent
    "priceCreate": (("planId", "planVersionId", "addonId"),),
    "planMigrationStart": (("planId", "planVersionId"),),
    "planMigrationPreview": (("planId", "planVersionId"),),
    "invoiceUpdate": (("changeLines", "removeLines"),),
    "entitlementCreate": (("planId", "planVersionId", "addonId", "subscriptionId"),),
    "couponAttach": _ATTACHED,
    "couponAttachProblems": _ATTACHED,
    "subscriptionCreate": _SUBSCRIBED,
    "subscriptionUpdate": (("quantities", "overrides"),),
    "subscriptionPlanChange": (("quantities", "overrides"),),
    "subscriptionPhasesSet": (("priceIds", "quantities", "commitments", "overrides"),),
    "invoicePreview": _SUBSCRIBED,
    "taxAssociationCreate": (
        ("taxRateId", "code"),
        ("customerId", "subscriptionId", "invoiceId"),
    ),
}
# Optional inputs that are given all the same: without them a second request would ask for more.
GIVEN: Final = {"amount", "subscriptionPriceOverrideInput.quantity"}
# What to give where an input asks for more than its type says.
VALUES: Final[Mapping[str, Any]] = {
    "currency": "USD",
    "baseCurrency": "USD",
    "timezone": "UTC",
    "password": "correct horse battery",
    "permissions": ["customer:read"],
    "reason": "mistaken",
    "image": None,
    "description": "Something",
    "amount": "0.01",
    "startsAt": "2099-01-01T00:00:00Z",  # of a phase, which is to come
    "start": "2024-01-01T00:00:00Z",
    "end": "2024-02-01T00:00:00Z",
    "charge": "USAGE",
    "model": {"perUnit": {"unitAmount": "1"}},
    "terms": {"metered": {"limit": "1"}},
    "off": {"percent": "10"},
    "rate": {"percent": "19"},
}
# Stands in texts that must be new each time; `Question.asking` puts something new in its place.
FRESH: Final = "fresh~"
SCALARS: Final[Mapping[str, Any]] = {
    "Boolean": True,
    "Int": 1,
    "Decimal": "1",
    "DateTime": "2024-01-15T00:00:00Z",
    "JSON": {},
    "Metadata": {"colour": "red"},
}


class Unknown(Exception):
    """The walk cannot make a request for something new in the schema."""


@dataclass(frozen=True)
class Slot:
    """Where an identity goes: the path of the variable, and which one, as worlds name it."""

    path: tuple[str | int, ...]
    what: str
    is_id: bool

    def __str__(self) -> str:
        return ".".join(map(str, self.path))


@dataclass(frozen=True)
class Question:
    """A document about one root field, its variables, and one of its slots (None: it has none)."""

    root: str
    name: str
    document: str
    variables: Mapping[str, Any]
    slot: Slot | None

    def __str__(self) -> str:
        return f"{self.root} {self.name}" + (f"({self.slot})" if self.slot else "")

    @property
    def claims(self) -> bool:
        """Whether the slot names something new rather than looking something up."""
        slot = self.slot
        return (
            self.root == "mutation"
            and slot is not None
            and not slot.is_id
            and self.name not in LOOKING
            and not any(part in LOOKED_UP for part in slot.path)
        )

    def asking(self, value: str, *, fresh: str) -> dict[str, Any]:
        """The variables with `value` in the slot, and `fresh` in what must be new."""
        filled = _refreshed(self.variables, fresh)
        return dict(_replaced(filled, self.slot.path, value) if self.slot else filled)


@dataclass
class _Made:
    """A value, with the slots inside it."""

    value: Any
    slots: list[Slot] = field(default_factory=list)


class Walk:
    """Over a schema, for a caller who knows `own`: identities by what they are."""

    def __init__(self, schema: GraphQLSchema, own: Mapping[str, str]) -> None:
        self._schema, self._own = schema, own

    def questions(self, root: str) -> Iterator[Question]:
        """For `query`, `mutation` or `subscription`: every field, once for each of its slots.

        Raises: Unknown, naming what it cannot make an input for.
        """
        kind = getattr(self._schema, f"{root}_type")
        for name, definition in kind.fields.items():
            yield from self._about(root, name, definition)

    def _about(self, root: str, name: str, definition: GraphQLField) -> Iterator[Question]:
        try:
            made = {
                argument: self._value(given.type, argument, owner=name, path=(argument,))
                for argument, given in definition.args.items()
                if self._wanted(argument, given.type, required=is_required_argument(given))
                or any(argument in beside for beside in BESIDE.values())
            }
        except Unknown as unknown:
            raise Unknown(f"{root} {name}: {unknown}{TEACH}") from None
        needed = {each for each in made if is_required_argument(definition.args[each])}
        slots: list[Slot | None] = [slot for part in made.values() for slot in part.slots]
        if not needed:
            slots.append(None)
        for slot in slots:
            beside = BESIDE.get(f"{name}({slot})", ())
            variables = {
                each: made[each].value for each in made if each in needed or each in beside
            }
            if slot is not None:
                head = str(slot.path[0])
                whole = made[head].value
                # One condition of a filter at a time, or the others would hide it.
                variables[head] = _only(whole, slot.path[1:]) if head == "filter" else whole
            for group in ONE_OF.get(name, ()):
                for head in variables.keys() & {"input", "subscription"}:
                    variables[head] = _one_of(variables[head], group, slot)
            yield self._question(root, name, definition, variables, slot=slot)

    def _question(
        self,
        root: str,
        name: str,
        definition: GraphQLField,
        variables: Mapping[str, Any],
        *,
        slot: Slot | None,
    ) -> Question:
        head = ", ".join(f"${each}: {definition.args[each].type}" for each in variables)
        passed = ", ".join(f"{each}: ${each}" for each in variables)
        call = f"{name}({passed})" if passed else name
        # Not as far from what was changed, where lists of what was made before would show.
        depth = 2 if root == "mutation" else 3
        while True:
            asked = selection(self._schema, definition.type, depth)
            text = f"{root} {f'({head}) ' if head else ''}{{ {call} {asked} }}"
            if len(asked.split()) <= LARGEST and self._cost(text) <= Limits().cost:
                break
            depth -= 1
        return Question(root, name, text, variables, slot)

    def _cost(self, text: str) -> int:
        (operation,) = parse(text).definitions
        assert isinstance(operation, OperationDefinitionNode)
        return total(plan_cost(self._schema, operation, {}), {})

    def _wanted(self, name: str, kind: GraphQLInputType, *, required: bool) -> bool:
        """Optional inputs are given where they identify something."""
        named = get_named_type(kind)
        if name in ("and", "or", "not", "orderBy"):
            return False
        if (
            required
            or name in TEXT_NAMES
            or name in GIVEN
            or name == "filter"
            or named.name == "ID"
        ):
            return name not in ("after", "before") or named.name == "ID"
        if name in VALUES:  # what is given there identifies nothing
            return False
        return isinstance(named, GraphQLInputObjectType) and self._identifies(named, set())

    def _identifies(self, kind: GraphQLInputObjectType, seen: set[str]) -> bool:
        """Whether an id can be given somewhere inside."""
        if kind.name in seen:
            return False
        seen.add(kind.name)
        inner = [get_named_type(part.type) for part in kind.fields.values()]
        return any(
            part.name in ("ID", "IdFilter")
            or (isinstance(part, GraphQLInputObjectType) and self._identifies(part, seen))
            for part in inner
        )

    def _value(
        self, kind: GraphQLInputType, name: str, *, owner: str, path: tuple[str | int, ...]
    ) -> _Made:
        if isinstance(kind, GraphQLNonNull):
            return self._value(kind.of_type, name, owner=owner, path=path)
        if isinstance(kind, GraphQLList):
            if name in VALUES:
                return _Made(VALUES[name])
            inner = self._value(kind.of_type, name, owner=owner, path=(*path, 0))
            return _Made([inner.value], inner.slots)
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(kind, name, owner=owner, path=path)
        if isinstance(kind, GraphQLEnumType):
            given = VALUES.get(name)
            return _Made(given if given in kind.values else next(iter(kind.values)))
        return self._scalar(kind, name, owner=owner, path=path)

    def _object(
        self, kind: GraphQLInputObjectType, name: str, *, owner: str, path: tuple[str | int, ...]
    ) -> _Made:
        if kind.name in ("IdFilter", "StringFilter"):
            inner = self._scalar(kind.fields["eq"].type, name, owner=owner, path=(*path, "eq"))
            return _Made({"eq": inner.value}, inner.slots)
        if name in VALUES:
            return _Made(VALUES[name])
        whole = kind.name[0].lower() + kind.name[1:]
        noun = re.sub(r"(Input|Filter)$", "", whole)
        found = _Made({})
        if kind.name.endswith("Input") and "id" not in kind.fields:
            noun = f"new {noun}"
        definition = kind.extensions.get("strawberry-definition")
        alone = next(iter(kind.fields)) if getattr(definition, "is_one_of", False) else None
        for part, given in kind.fields.items():
            wanted = self._wanted(part, given.type, required=is_required_input_field(given))
            wanted = wanted or f"{whole}.{part}" in GIVEN
            if part == alone or (alone is None and wanted):
                of = whole if f"{whole}.{part}" in ID_NAMES else noun
                inner = self._value(given.type, part, owner=of, path=(*path, part))
                found.value[part] = inner.value
                found.slots += inner.slots
        return found

    def _scalar(
        self, kind: GraphQLInputType, name: str, *, owner: str, path: tuple[str | int, ...]
    ) -> _Made:
        assert isinstance(kind, GraphQLScalarType), kind
        if kind.name == "ID":
            what = self._identified(name, owner)
            return _Made(self._known(what), [Slot(path, what, is_id=True)])
        if kind.name == "String" and name in TEXT_NAMES:
            what = TEXT_NAMES.get(f"{owner}.{name}", TEXT_NAMES[name])
            value = self._known(what)
            claims = name not in LOOKED_UP and owner.removeprefix("new ") not in LOOKING
            if owner.startswith("new ") and claims:
                value = f"{FRESH}@example.com" if what == "email" else FRESH
            return _Made(value, [Slot(path, what, is_id=False)])
        if name in VALUES:
            return _Made(VALUES[name])
        if kind.name in SCALARS:
            return _Made(SCALARS[kind.name])
        raise Unknown(f"no value for {name}: {kind.name} of {owner}")

    def _identified(self, name: str, owner: str) -> str:
        """What an input of type ID identifies, as worlds name it."""
        owner = owner.removeprefix("new ")
        for known in (f"{owner}.{name}", name):
            if known in ID_NAMES:
                return ID_NAMES[known]
        if name in ("id", "ids"):
            nouns = [noun for noun in self._own if owner.startswith(noun)]
            if owner in ("node", "nodes"):
                return "node"
        else:
            wanted = re.sub(r"Ids?$", "", name)
            nouns = [noun for noun in self._own if wanted == noun]
        if not nouns:
            raise Unknown(f"it is not known what {name}: ID of {owner} identifies")
        return max(nouns, key=len)

    def _known(self, what: str) -> str:
        if what not in self._own:
            raise Unknown(f"the world has no {what}")
        return self._own[what]


def selection(schema: GraphQLSchema, kind: GraphQLOutputType, depth: int) -> str:
    """Everything of a type that can be asked for without arguments, `depth` objects deep."""
    named = get_named_type(kind)
    if not is_composite_type(named):
        return ""
    if isinstance(named, GraphQLUnionType):
        parts = [f"... on {each.name} {_fields(schema, each, depth)}" for each in named.types]
        return "{ __typename " + " ".join(parts) + " }"
    if isinstance(named, GraphQLInterfaceType) and named.name == "Node":
        # What kinds call the same has not the same type; the id is enough to leak.
        return "{ __typename id }"
    assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType)
    return _fields(schema, named, depth)


def _fields(
    schema: GraphQLSchema, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int
) -> str:
    parts = ["__typename"]
    for name, definition in kind.fields.items():
        if any(is_required_argument(argument) for argument in definition.args.values()):
            continue
        if not is_composite_type(get_named_type(definition.type)):
            parts.append(name)
        elif depth > 1 and name != "edges":
            parts.append(f"{name} {selection(schema, definition.type, depth - 1)}")
    return "{ " + " ".join(parts) + " }"


def _refreshed(value: Any, fresh: str) -> Any:
    if isinstance(value, str):
        return value.replace(FRESH, fresh)
    if isinstance(value, list):
        return [_refreshed(part, fresh) for part in value]
    if isinstance(value, Mapping):
        return {key: _refreshed(part, fresh) for key, part in value.items()}
    return value


def _replaced(value: Any, path: tuple[str | int, ...], new: str) -> Any:
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, list):
        return [_replaced(part, rest, new) if at == head else part for at, part in enumerate(value)]
    return {key: _replaced(part, rest, new) if key == head else part for key, part in value.items()}


def _one_of(value: Any, names: tuple[str, ...], slot: Slot | None) -> Any:
    """The input, and each one inside, without those of `names` that exclude the one in question."""
    return _alone(value, names, () if slot is None else slot.path[1:])


def _alone(value: Any, names: tuple[str, ...], path: tuple[str | int, ...]) -> Any:
    if isinstance(value, list):
        return [_alone(part, names, path[1:]) for part in value]
    if not isinstance(value, Mapping):
        return value
    kept = path[0] if path and path[0] in names else names[0]
    return {
        name: _alone(part, names, path[1:] if path and path[0] == name else ())
        for name, part in value.items()
        if name == kept or name not in names
    }


def _only(value: Any, path: tuple[str | int, ...]) -> Any:
    """`value` with nothing beside what `path` leads to."""
    if not path:
        return value
    inner = value[path[0]]
    return (
        [_only(inner, path[1:])] if isinstance(value, list) else {path[0]: _only(inner, path[1:])}
    )
