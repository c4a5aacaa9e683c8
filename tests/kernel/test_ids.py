import os

import pytest

from app.kernel import ids
from app.kernel.ids import PREFIXES, is_id, new_id, prefix_of, ulid


def test_ids_made_one_after_another_sort_one_after_another():
    made = [ulid() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_id_tells_its_kind(prefix):
    assert is_id(new_id(prefix), prefix)


def test_an_unregistered_prefix_is_refused():
    with pytest.raises(ValueError, match="prefix"):
        new_id("nope")


@pytest.mark.parametrize(
    "value",
    ["", "cus_", "cus_01", "CUS_01M83HGF6PMD9Q8ND5QDM3E1M8", "cus_81M83HGF6PMD9Q8ND5QDM3E1M8"],
)
def test_what_is_not_an_id_has_no_prefix(value):
    assert prefix_of(value) is None


def test_a_forked_process_draws_bits_of_its_own():
    ulid()  # more is drawn ahead than this, and it is the parent's
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, str(len(ids._drawn)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert (os.read(read, 9), len(ids._drawn) > 0) == (b"0", True)
