"""What a usage charge measures: its feature, and for a formula those of all its variables."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import asyncpg
import msgspec

from app.catalog.actions.locks import lock
from app.catalog.errors import Archived
from app.catalog.feature import Feature, FeatureStatus, FeatureType
from app.catalog.price import ChargeKind, Price
from app.catalog.prices import Formula, PriceModel
from app.catalog.reads import features
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.scope import Scope
from app.metering import reads as meters
from app.metering.meter import Meter, MeterStatus

# Features by the path of the input that names each.
Named = Mapping[str, str]


def features_of(price: Price) -> Named:
    """The features that a price names. Raises: Invalid, where one is missing or too many."""
    if price.charge is ChargeKind.FIXED:
        if price.feature_id is not None:
            raise Invalid(
                "featureId: a fixed charge measures nothing; leave it out",
                field="featureId",
                code="FEATURE_NOT_ALLOWED",
            )
        return {}
    named = {"featureId": price.feature_id} | _variables(price.model)
    for path, feature_id in named.items():
        if feature_id is None:
            raise Invalid(
                f"{path}: a usage charge needs the metered feature that it charges for",
                field=path,
                code="FEATURE_REQUIRED",
            )
    found = {path: feature_id for path, feature_id in named.items() if feature_id is not None}
    if isinstance(price.model, Formula) and price.feature_id not in list(found.values())[1:]:
        raise Invalid(
            "featureId: a formula is charged for the feature of one of its variables",
            field="featureId",
            code="FEATURE_NOT_IN_FORMULA",
        )
    return found


async def lock_features(connection: asyncpg.Connection, scope: Scope, price: Price) -> None:
    """None of them is archived meanwhile. Raises: Invalid."""
    for feature_id in sorted(set(features_of(price).values())):
        await lock(connection, scope, "features", feature_id, shared=True)


async def with_meters(scope: Scope, price: Price) -> Price:
    """The price with the meters of its features. Raises: Invalid, NotFound (a feature)."""
    return metered(price, await _found(scope, features_of(price)))


def metered(price: Price, found: Mapping[str, Feature]) -> Price:
    """The price with the meters of its features, which are `found` by their ids. Pure."""
    model = price.model
    if isinstance(model, Formula) and found:
        variables = tuple(
            msgspec.structs.replace(each, meter_id=found[each.feature_id].meter_id)
            for each in model.variables
            if each.feature_id is not None
        )
        model = Formula(model.expression, variables)
    meter_id = None if price.feature_id is None else found[price.feature_id].meter_id
    return replace(price, model=model, meter_id=meter_id)


def meters_by_path(price: Price) -> Named:
    """The meters of a price that has them already, by the path of the feature's input."""
    wanted = {"featureId": price.meter_id} | _variables(price.model, meter=True)
    return {path: meter_id for path, meter_id in wanted.items() if meter_id is not None}


@dataclass(frozen=True, slots=True)
class Measured:
    """Features and their meters, by their ids."""

    features: Mapping[str, Feature]
    meters: Mapping[str, Meter]


def named_by(feature_id: str | None, model: PriceModel | None) -> set[str]:
    """The ids of the features that a price, or terms of one, name."""
    named = [feature_id] if model is None else [feature_id, *_variables(model).values()]
    return {each for each in named if each is not None}


async def measured(scope: Scope, feature_ids: Collection[str]) -> Measured:
    """Those of them that there are, with their meters, in two statements."""
    if not feature_ids:
        return Measured({}, {})
    found = await features.by_ids(scope, feature_ids)
    wanted = {each.meter_id for each in found.values() if each.meter_id is not None}
    return Measured(found, await meters.by_ids(scope, wanted))


def with_measures(price: Price, known: Measured) -> tuple[Price, dict[str, Meter]]:
    """The price with the meters of its features, which must be in use, and these by the path of
    the feature's input. Pure. Raises: Invalid, NotFound, Archived."""
    named = features_of(price)
    _check_there(named, known.features)
    price = metered(price, known.features)
    _check_in_use(named, known.features)
    return price, _by_path(meters_by_path(price), known.meters)


async def check_features(scope: Scope, price: Price) -> None:
    """They are metered and in use. Raises: Invalid, NotFound, Archived."""
    named = features_of(price)
    _check_in_use(named, await _found(scope, named))


async def metered_by(scope: Scope, price: Price) -> dict[str, Meter]:
    """The meters of the features, which must be in use, by the path of the feature's input.

    The price has its meters already (`with_meters`). Raises: Invalid, NotFound, Archived.
    """
    await check_features(scope, price)
    ids = meters_by_path(price)
    return _by_path(ids, await meters.by_ids(scope, set(ids.values())))


def _by_path(ids: Named, found: Mapping[str, Meter]) -> dict[str, Meter]:
    """Raises: NotFound, Archived."""
    for path, meter_id in ids.items():
        if meter_id not in found:
            raise NotFound("meter", meter_id, field=path)
        if found[meter_id].status is MeterStatus.ARCHIVED:
            raise Archived("meter", meter_id, field=path)
    return {path: found[meter_id] for path, meter_id in ids.items()}


async def _found(scope: Scope, named: Named) -> dict[str, Feature]:
    found = await features.by_ids(scope, set(named.values()))
    _check_there(named, found)
    return found


def _check_there(named: Named, found: Mapping[str, Feature]) -> None:
    for path, feature_id in named.items():
        if feature_id not in found:
            raise NotFound("feature", feature_id, field=path)


def _check_in_use(named: Named, found: Mapping[str, Feature]) -> None:
    for path, feature_id in named.items():
        _check_feature(found[feature_id], path)


def _variables(model: PriceModel, *, meter: bool = False) -> dict[str, str | None]:
    """The features, or meters, of a formula's variables, by path."""
    if not isinstance(model, Formula):
        return {}
    return {
        f"model.formula.variables[{index}].featureId": each.meter_id if meter else each.feature_id
        for index, each in enumerate(model.variables)
    }


def _check_feature(feature: Feature, path: str) -> None:
    if feature.status is FeatureStatus.ARCHIVED:
        raise Archived("feature", feature.id, field=path)
    if feature.type is not FeatureType.METERED:
        raise Invalid(
            f"{path}: {feature.lookup_key} is {feature.type.value}; usage is charged for "
            "metered features",
            field=path,
            code="FEATURE_NOT_METERED",
        )
