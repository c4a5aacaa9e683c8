"""The README's tour, run as it stands there, answers what stands there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import parse, validate

from app.graphql.schema import schema

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TOUR = README[README.index("## A five-minute tour") : README.index("## Modes")]
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
# What differs from run to run.
CHANGING = re.compile(r"\b(cus|mtr|feat|plan|pri|sub|inv|key|req|ten|env)_[0-9A-Z]{26}\b")
NUMBER = re.compile(r"INV-[0-9]{6}-")  # the month of issue


def told(text: str) -> object:
    """JSON as what it says, however it is laid out; other text line by line."""
    masked = NUMBER.sub("INV-…", CHANGING.sub(r"\1_…", text))
    try:
        return json.loads(masked)
    except json.JSONDecodeError:
        return [line.strip() for line in masked.splitlines() if line.strip()]


@pytest.fixture
async def tour(processes, tmp_path):
    """The tour's commands as one script, against an API of the tests, and what they print."""
    api = await processes.start_mode("api", ready=False)
    consumer = await processes.start_mode("consumer", ready=False)
    worker = await processes.start_mode("temporal_worker", ready=False)
    for mode in (api, consumer, worker):
        await mode.wait_ready()
    script = "\necho ---\n".join(body for kind, body in FENCE.findall(TOUR) if kind == "bash")
    script = script.replace("localhost:8080", api.url.removeprefix("http://"))
    script = script.replace("--tenant Acme", f"--tenant 'Acme {api.pid}'")  # others are named so
    done = subprocess.run(  # noqa: ASYNC221 - nothing else has to run meanwhile
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script.replace("uv run tariff", f"{Path(sys.executable).parent}/tariff"),
        ],
        cwd=tmp_path,
        env=processes.environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("---\n")


async def test_the_tour_answers_what_the_readme_says(tour):
    shown = []
    for kind, body in FENCE.findall(TOUR):
        if kind == "bash":
            shown.append(told(""))
        elif kind in ("json", "text") and shown:
            shown[-1] = told(body)
    assert [told(printed) for printed in tour] == shown


@pytest.mark.parametrize(
    "document", [body for kind, body in FENCE.findall(README) if kind == "graphql"]
)
def test_every_graphql_example_is_valid(document):
    assert validate(schema._schema, parse(document)) == []
