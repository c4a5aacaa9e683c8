"""Request ids and traces: the caller's own where they are sane, else new ones."""

import pytest

from app.infra.telemetry import bound, current, request_id, traceparent
from app.infra.telemetry.context import accepted_request_id, accepted_trace
from app.kernel.ids import is_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize("given", ["abc", "3f2c-11", "a.b:c_d", "x" * 128])
def test_a_sane_request_id_is_kept(given: str) -> None:
    assert accepted_request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\nb", "ü", "<script>", "-a"])
def test_any_other_request_id_is_replaced(given: str | None) -> None:
    assert is_id(accepted_request_id(given), "req")


def test_a_trace_is_continued_under_a_span_of_its_own() -> None:
    trace, span = accepted_trace(f"00-{TRACE}-{SPAN}-01")
    assert trace == TRACE
    assert span != SPAN
    assert len(span) == 16


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-extra",
    ],
)
def test_a_header_that_is_no_trace_starts_a_new_one(header: str | None) -> None:
    trace, _ = accepted_trace(header)
    assert len(trace) == 32
    assert trace not in (TRACE, "0" * 32)


def test_what_is_bound_is_seen_inside_the_block_only() -> None:
    assert traceparent() is None
    with bound(request_id="req_1", trace_id=TRACE, span_id=SPAN, tenant_id=None):
        assert request_id() == "req_1"
        assert traceparent() == f"00-{TRACE}-{SPAN}-01"
        assert "tenant_id" not in current()
    assert request_id() is None
