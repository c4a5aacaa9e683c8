"""The sizes we keep to, and what never appears. A limit is raised only with an ADR."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APP = ROOT / "app"
MODULE_LINES, FUNCTION_LINES, POSITIONAL = 400, 60, 4


def _modules() -> list[tuple[str, str, ast.Module]]:
    return [
        (str(path.relative_to(ROOT)), text := path.read_text(), ast.parse(text))
        for path in sorted(APP.rglob("*.py"))
    ]


MODULES = _modules()


def test_modules_and_functions_stay_small():
    found = []
    for name, text, tree in MODULES:
        if text.count("\n") > MODULE_LINES:
            found.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.end_lineno - node.lineno + 1 > FUNCTION_LINES:
                found.append(f"{name}:{node.lineno} {node.name}: too long")
            positional = [a.arg for a in node.args.args if a.arg not in {"self", "cls"}]
            # Whoever calls a resolver names its arguments: they are the graph's, not Python's.
            if len(positional) > POSITIONAL and "info" not in positional:
                found.append(f"{name}:{node.lineno} {node.name}: too many positional parameters")
    assert found == []


def test_only_the_clock_knows_what_time_it_is():
    asks = re.compile(r"\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(")
    found = [
        f"{name}:{number}"
        for name, text, _ in MODULES
        # The embedded S3 server is a server: it stamps its objects with the machine's time.
        if name not in ("app/kernel/clock.py", "app/embedded/s3/storage.py")
        for number, line in enumerate(text.splitlines(), 1)
        if asks.search(line)
    ]
    assert found == []


def test_money_and_quantities_never_pass_through_floats():
    """Floats are for time and ratios; these packages have neither."""
    pure = re.compile(r"app/(kernel|catalog|invoicing|subscriptions|metering/aggregations)/")
    found = [
        f"{name}:{node.lineno}"
        for name, _, tree in MODULES
        if pure.match(name)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]
    assert found == []


def test_the_environment_is_read_in_one_place():
    found = [
        name
        for name, text, _ in MODULES
        if "os.environ" in text and not name.startswith(("app/config/", "app/embedded/"))
    ]
    assert found == []


def test_nothing_is_left_for_later():
    later = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError|pragma: no cover)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("app", "tests", "bench", "migrations")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if later.search(line)
    ]
    assert found == []


def test_no_committed_file_names_a_package_registry():
    hosts = "|".join(
        re.escape(host) for host in ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org")
    )
    listed = subprocess.run(
        ["git", "grep", "-lIE", hosts], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert listed.stdout == ""


@pytest.mark.parametrize("command", [["lint-imports"], ["ruff", "check", "."], ["mypy"]])
def test_the_checks_of_the_house_pass(command):
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
