"""The same facts lead to the same amounts and explanations, or to another engine version."""

import pytest

from app.catalog.prices import MODELS
from app.invoicing.rating import ENGINE_VERSION
from app.invoicing.replaying import of_trees
from tests.golden.facts import CASES, FOLDER, billed, read

FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_was_billed_comes_out_again(path):
    version, case, stored = read(path)
    found = list(of_trees("", stored, billed(case)))
    assert not found or version != ENGINE_VERSION, (
        f"what the engine makes of the same facts has changed: raise ENGINE_VERSION from "
        f"{version}, then run python -m tests.golden. {found[:5]}"
    )
    assert version == ENGINE_VERSION, "the engine has a new version: run python -m tests.golden"


def test_the_corpus_holds_every_case_and_every_price_model():
    assert {path.stem for path in FILES} == set(CASES)
    sold = [sold for path in FILES for sold in read(path)[1].sold]
    assert {each.price["model"]["model"] for each in sold} == {model.kind for model in MODELS}
    assert sum(path.stat().st_size for path in FILES) < 400_000
