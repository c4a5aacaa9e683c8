"""What a plan sells, in the words of another environment. Pure.

Ids mean nothing there; features and groups are known by their lookup keys, price units by their
codes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from app.catalog.entitlement import Entitlement, substance_hash
from app.catalog.feature import Feature
from app.catalog.group import Group
from app.catalog.price import Price
from app.catalog.price_unit import PriceUnit
from app.catalog.prices import Formula, Variable
from app.kernel.copies import replace


@dataclass(frozen=True, slots=True)
class Things:
    """Things of one environment: by their ids, or by the names that programs use."""

    features: Mapping[str, Feature]
    groups: Mapping[str, Group]
    units: Mapping[str, PriceUnit]


@dataclass(frozen=True, slots=True)
class Translation:
    """The things of another environment, by the ids that they have in this one."""

    there: Things

    def price(self, price: Price) -> Price:
        """The price with its feature, group, unit and variables there; its meters are not."""
        model, conversion = price.model, price.conversion
        if isinstance(model, Formula):
            model = Formula(model.expression, tuple(map(self._variable, model.variables)))
        if conversion is not None:
            unit = self.there.units[conversion.unit_id]
            conversion = msgspec.structs.replace(conversion, unit_id=unit.id)
        feature_id, group_id = price.feature_id, price.group_id
        return replace(
            price,
            model=model,
            conversion=conversion,
            feature_id=None if feature_id is None else self.there.features[feature_id].id,
            group_id=None if group_id is None else self.there.groups[group_id].id,
        )

    def entitlement(self, given: Entitlement) -> Entitlement:
        feature_id = self.there.features[given.feature_id].id
        hashed = substance_hash(feature_id, given.terms, given.overrides, enabled=given.enabled)
        return replace(given, feature_id=feature_id, content_hash=hashed)

    def _variable(self, variable: Variable) -> Variable:
        if variable.feature_id is None:
            return variable
        feature = self.there.features[variable.feature_id]
        return msgspec.structs.replace(variable, feature_id=feature.id)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a version of a plan sells: its prices, and what it gives of features."""

    prices: Sequence[Price]
    entitlements: Sequence[Entitlement]


def features_named(contents: Contents) -> set[str]:
    """The ids of the features that prices, formulas and entitlements name."""
    found = {each.feature_id for each in contents.entitlements}
    for price in contents.prices:
        if price.feature_id is not None:
            found.add(price.feature_id)
        if isinstance(price.model, Formula):
            found |= {each.feature_id for each in price.model.variables if each.feature_id}
    return found


def translated(here: Things, there: Things) -> tuple[Translation, dict[str, list[str]]]:
    """The translation, and what it lacks: names by kind.

    `here` has things by their ids, `there` by the names that programs use.
    """
    features, groups, units = there.features, there.groups, there.units
    known = Things(
        {
            id_: features[mine.lookup_key]
            for id_, mine in here.features.items()
            if mine.lookup_key in features and features[mine.lookup_key].type is mine.type
        },
        {
            id_: groups[mine.lookup_key]
            for id_, mine in here.groups.items()
            if mine.lookup_key in groups and groups[mine.lookup_key].kind is mine.kind
        },
        {
            id_: units[mine.code]
            for id_, mine in here.units.items()
            if mine.code in units and units[mine.code].base_currency == mine.base_currency
        },
    )
    missing = {
        "features": [f.lookup_key for i, f in here.features.items() if i not in known.features],
        "groups": [g.lookup_key for i, g in here.groups.items() if i not in known.groups],
        "price units": [u.code for i, u in here.units.items() if i not in known.units],
    }
    return Translation(known), {kind: sorted(names) for kind, names in missing.items()}
