"""docs/operations.md names what there is, and only that."""

import re
from importlib import import_module
from pathlib import Path

from prometheus_client import REGISTRY

from app.config import variables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()


def measured() -> set[str]:
    """The name of every metric that some module of ours registers."""
    for path in (ROOT / "app").rglob("*.py"):
        if "prometheus_client" in path.read_text():
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    names: dict[str, str] = {}
    for collector, known in REGISTRY._collector_to_names.items():
        kind = type(collector).__name__
        for name in known:
            names[name] = kind
    samples = re.compile(r"_(created|bucket|sum|count)$")
    ours = {name for name in names if name.startswith("tariff_") and not samples.search(name)}
    # A counter is known by its name with and without `_total`; one of them is shown.
    return {name for name in ours if f"{name}_total" not in ours}


def test_every_metric_is_on_the_page_and_every_metric_on_the_page_exists() -> None:
    page = re.sub(r"_(bucket|count|sum)\b", "", PAGE)
    named = set(re.findall(r"\btariff_[a-z_]+\b", page)) - {"tariff_owner", "tariff_app"}
    assert named == measured()


def test_every_variable_and_setting_on_the_page_exists() -> None:
    known = dict(variables())
    assert set(re.findall(r"TARIFF_[A-Z0-9_]+", PAGE)) <= set(known)
    keys = {f"{section}.{key}" for section, key, _ in known.values()}
    sections = "|".join({section for section, _, _ in known.values()})
    assert set(re.findall(rf"`((?:{sections})\.[a-z_]+)[`=]", PAGE)) <= keys


def test_every_log_event_on_the_page_is_logged_somewhere() -> None:
    source = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    [paragraph] = re.findall(r"Worth an alert: (`.+?)\.\n\n", PAGE, re.DOTALL)
    for event in re.findall(r"`([a-z_]+)`", paragraph):
        assert f'"{event}"' in source, event
