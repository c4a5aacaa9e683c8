"""Logs: one JSON object a line on stderr, whoever logs, without secrets."""

import json
import subprocess
import sys
from typing import Any

import pytest

from app.infra.telemetry.redaction import REDACTED, redact, redacted_text

_START = """
import asyncio, logging, threading, warnings
import structlog
from app.config import Logging
from app.infra.telemetry.context import bound
from app.infra.telemetry.logs import configure_logging
configure_logging(Logging(level="INFO", format={format!r}), name="billing", mode="api")
log = structlog.get_logger("x")
"""


def run(program: str, *, format: str = "json") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _START.replace("{format!r}", repr(format)) + program],
        capture_output=True,
        text=True,
        timeout=60,
    )


def logged(program: str) -> list[dict[str, Any]]:
    """The lines a process logs; each must be JSON, and stdout must stay empty."""
    result = run(program)
    assert result.stdout == ""
    return [json.loads(line) for line in result.stderr.splitlines()]


def test_a_line_says_when_what_where_and_for_whom() -> None:
    [line] = logged(
        "with bound(request_id='req_1', tenant_id='ten_1', environment_id=None):\n"
        "    log.info('invoice_finalized', invoice='inv_1', count=3)"
    )
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "invoice_finalized",
        "service": "billing",
        "mode": "api",
        "request_id": "req_1",
        "tenant_id": "ten_1",
        "invoice": "inv_1",
        "count": 3,
    }


def test_what_is_below_the_level_is_not_logged() -> None:
    assert logged("log.debug('noise'); logging.getLogger('x').debug('noise')") == []


def test_libraries_come_out_in_the_same_shape() -> None:
    [line] = logged(
        "with bound(request_id='req_1'):\n"
        "    logging.getLogger('aiokafka.client').warning('broker %s is gone', 7)"
    )
    assert line["event"] == "broker 7 is gone"
    assert line["logger"] == "aiokafka.client"
    assert (line["level"], line["mode"], line["request_id"]) == ("warning", "api", "req_1")


def test_chatter_of_libraries_is_left_out() -> None:
    assert (
        logged(
            "for name in 'uvicorn.access uvicorn.error aiokafka temporalio'.split():\n"
            "    logging.getLogger(name).info('started')"
        )
        == []
    )


def test_an_exception_is_one_line_with_its_traceback() -> None:
    [line] = logged("try: 1/0\nexcept ZeroDivisionError: log.exception('rating_failed')")
    assert line["event"] == "rating_failed"
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_warnings_crashes_of_threads_and_of_the_process_are_lines_too() -> None:
    lines = logged(
        "warnings.warn('old')\n"
        "def fail(): raise ValueError('in a thread')\n"
        "t = threading.Thread(target=fail, name='w'); t.start(); t.join()\n"
        "async def lost(): raise ValueError('in a task')\n"
        "async def main():\n"
        "    task = asyncio.create_task(lost()); await asyncio.sleep(0); del task\n"
        "asyncio.run(main())\n"
        "raise ValueError('at the end')"
    )
    assert [line["level"] for line in lines] == ["warning", "error", "error", "critical"]
    assert "UserWarning: old" in lines[0]["event"]
    assert lines[1]["event"] == "thread_crashed"
    assert "in a thread" in lines[1]["exception"]
    assert "in a task" in lines[2]["exception"]
    assert lines[3]["event"] == "process_crashed"
    assert "at the end" in lines[3]["exception"]


def test_values_that_are_no_json_are_told_anyway() -> None:
    [line] = logged("log.info('odd', value=object, ids={1: 'x'}, data=b'secret')")
    assert line["value"] == "<class 'object'>"
    assert line["ids"] == {"1": "x"}
    assert line["data"] == "[6 bytes]"


def test_a_logged_secret_does_not_reach_the_line() -> None:
    result = run(
        "log.info('x', password='hunter2', url='postgresql://u:hunter2@h/d')\n"
        "logging.getLogger('y').error('at postgresql://u:hunter2@h/d')\n"
        "try: raise ValueError('Authorization: Bearer hunter2hunter2')\n"
        "except ValueError: log.exception('failed')"
    )
    assert len(result.stderr.splitlines()) == 3
    assert "hunter2" not in result.stderr


def test_the_console_form_is_for_people() -> None:
    result = run("log.info('ready', port=8080)", format="console")
    assert "ready" in result.stderr
    assert "port=8080" in result.stderr
    assert not result.stderr.startswith("{")


def test_a_traceback_for_people_does_not_show_the_values_of_variables() -> None:
    result = run(
        "def fails(value): raise ValueError('broke')\n"
        "try: fails('hunt' + 'er2')\nexcept ValueError: log.exception('failed')",
        format="console",
    )
    assert "ValueError: broke" in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "client_secret",
        "refresh_token",
        "Authorization",
        "cookie",
        "api_key",
        "x_apikey",
        "access_key",
        "webhook_signature",
        "email",
        "customer_email",
        "phone_number",
        "billing_address",
    ],
)
def test_a_field_that_holds_a_secret_or_a_person_is_redacted(name: str) -> None:
    assert redact({name: "hunter2"}) == {name: REDACTED}
    assert redact({"deep": {"list": [{name: "hunter2"}]}}) == {"deep": {"list": [{name: REDACTED}]}}


def test_counts_and_ids_are_not_taken_for_secrets() -> None:
    fields = {
        "input_tokens": 12,
        "key_id": "key_01JD0000000000000000000000",
        "customer": "cus_01JD0000000000000000000000",
        "idempotency": "bill:sub_1:2026-01-01",
        "amount": "12.50",
        "reason": "quantity must be at least 1",
    }
    assert redact(dict(fields)) == fields


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgresql://app:s3cr@t@db:5432/x", "postgresql://[redacted]@db:5432/x"),
        ("Bearer abcdefgh123", "[redacted]"),
        ("key tk_live_0123456789ab_" + "x" * 49 + ".", "key [redacted]."),
        ("https://x/y?token=abc&page=2", "https://x/y?[redacted]&page=2"),
        ("mail to jane.doe+x@example.co.uk!", "mail to [redacted]!"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "[redacted]"),
    ],
)
def test_a_value_that_looks_like_a_secret_is_redacted(text: str, left: str) -> None:
    assert redacted_text(text) == left


def test_a_very_long_value_is_cut() -> None:
    assert redacted_text("x" * 20_000) == "x" * 16_384 + "… (20000 characters)"
