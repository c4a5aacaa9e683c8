"""What two versions charge differently."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.catalog.actions.price_terms import hash_of
from app.catalog.differences import difference
from app.catalog.price import ChargeKind
from app.catalog.prices import Flat, PerUnit
from app.kernel.copies import replace
from app.kernel.ids import new_id
from tests.invoicing import make


def price(amount=99, *, like=None, **fields):
    """A monthly fee; `like` shares its lineage."""
    sold = make.price(Flat(Decimal(amount)), charge=ChargeKind.FIXED, name="Fee")
    lineage = like.lineage_id if like else new_id("pri")
    sold = replace(sold, lineage_id=lineage, **fields)
    return replace(sold, content_hash=hash_of(sold))


def test_prices_of_one_lineage_are_the_same_charge():
    fee = price(99)
    dearer, other = price(120, like=fee, trial_days=14), price(99, display_name="Other")
    found = difference([fee], [other, dearer])
    assert [(c.before, c.after, c.fields) for c in found.changed] == [
        (fee, dearer, ("model", "trial_days"))
    ]
    assert (found.added, found.ended, found.kept) == ((other,), (), ())


def test_without_a_lineage_the_lookup_key_the_terms_and_what_is_charged_tell():
    keyed, equal, named = (
        price(1, lookup_key="fee", display_name="A"),
        price(2, display_name="B"),
        price(3, display_name="C"),
    )
    new = (
        price(11, lookup_key="fee", display_name="X"),
        price(2, display_name="Y"),
        price(13, display_name="C"),
    )
    found = difference([keyed, equal, named], new)
    assert [(c.before, c.after) for c in found.changed] == [(keyed, new[0]), (named, new[2])]
    assert found.kept == ((equal, new[1]),)
    assert (found.added, found.ended) == ((), ())


def test_another_feature_currency_or_cadence_is_another_charge():
    euros = price(99, currency="EUR")
    usage = make.price(PerUnit(Decimal(1)))
    found = difference(
        [price(99), usage],
        [
            euros,
            replace(
                usage,
                **{
                    "id": "pri_x",
                    "lineage_id": "pri_x",
                    "feature_id": "feat_x",
                    "content_hash": "x",
                },
            ),
        ],
    )
    assert (len(found.added), len(found.ended), found.changed, found.kept) == (2, 2, (), ())


POOL = [price(amount, display_name=name) for amount in (1, 2, 3) for name in ("A", "B")]
POOL += [price(9, like=each) for each in POOL[:3]]
CHOICE = st.lists(st.sampled_from(POOL), max_size=6, unique_by=lambda one: one.id)


@given(CHOICE, CHOICE)
def test_every_price_is_told_of_once_and_both_ways_alike(before, after):
    # The copies of a version are other rows than what they were copied from.
    after = [replace(each, id=new_id("pri")) for each in after]
    found = difference(before, after)
    olds = [*found.ended, *(c.before for c in found.changed), *(old for old, _ in found.kept)]
    news = [*found.added, *(c.after for c in found.changed), *(new for _, new in found.kept)]
    assert sorted(p.id for p in olds) == sorted(p.id for p in before)
    assert sorted(p.id for p in news) == sorted(p.id for p in after)
    assert all(c.fields and c.before.content_hash != c.after.content_hash for c in found.changed)
    back = difference(after, before)
    assert (len(back.added), len(back.ended)) == (len(found.ended), len(found.added))


@given(CHOICE)
def test_nothing_differs_from_its_copy(before):
    found = difference(before, [replace(each, id=new_id("pri")) for each in before])
    assert (found.added, found.ended, found.changed) == ((), (), ())
    assert len(found.kept) == len(before)
