"""A meter's definition as JSON, as its table and the audit log hold it."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.metering.aggregations import KINDS, Aggregation
from app.metering.filters import Filters, Match


def aggregation_document(aggregation: Aggregation) -> dict[str, str]:
    name = aggregation.property
    return {"kind": aggregation.kind} | ({} if name is None else {"property": name})


def aggregation_of(document: Mapping[str, str]) -> Aggregation:
    arguments = {key: value for key, value in document.items() if key != "kind"}
    return KINDS[document["kind"]](**arguments)


def filters_document(filters: Filters) -> dict[str, Any]:
    return {
        "include": [_match_document(match) for match in filters.include],
        "exclude": [[_match_document(match) for match in entry] for entry in filters.exclude],
        "present": list(filters.present),
        "absent": list(filters.absent),
    }


def filters_of(document: Mapping[str, Any]) -> Filters:
    return Filters(
        include=_matches(document["include"]),
        exclude=tuple(_matches(entry) for entry in document["exclude"]),
        present=tuple(document["present"]),
        absent=tuple(document["absent"]),
    )


def _match_document(match: Match) -> dict[str, Any]:
    return {"property": match.property, "values": list(match.values)}


def _matches(documents: Sequence[Mapping[str, Any]]) -> tuple[Match, ...]:
    return tuple(Match(item["property"], tuple(item["values"])) for item in documents)
