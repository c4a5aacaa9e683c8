"""Where a statement ends and its data begin, as ClickHouse's own parser sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.embedded.clickhouse.codes import EngineError, engine_error
from app.embedded.clickhouse.statement import parse


@pytest.mark.parametrize(
    ("source", "form", "data"),
    [
        (b"INSERT INTO t VALUES (1),(2)", "Values", b" (1),(2)"),
        (b'insert into t format JSONEachRow {"a":1}', "JSONEachRow", b'{"a":1}'),
        (b"INSERT INTO t FORMAT TSV\n\n1", "TSV", b"\n1"),
        (b"INSERT INTO t FORMAT TSV  \r\n1", "TSV", b"1"),
        (b"INSERT INTO t (a, `values`) FORMAT RowBinary \n\x00;\xff'", "RowBinary", b"\x00;\xff'"),
        (b"/* FORMAT CSV */ INSERT INTO t -- VALUES\n FORMAT CSV\n1", "CSV", b"1"),
        (b"INSERT INTO t (a) SETTINGS async_insert=1 VALUES", "Values", b""),
    ],
)
def test_the_data_of_an_insert_begin_after_its_format(source, form, data):
    statement = parse(source)
    assert (statement.kind, statement.format) == ("insert", form)
    assert source[statement.data_at :] == data


def test_the_settings_of_an_insert_are_told_apart():
    statement = parse(b"INSERT INTO t (a) SETTINGS x = 1, y = 'VALUES' FORMAT CSV\n1")
    assert statement.text == b"INSERT INTO t (a) "
    assert statement.settings == b"SETTINGS x = 1, y = 'VALUES' "


def test_an_insert_whose_data_are_elsewhere_has_no_format_of_its_own():
    statement = parse(b"INSERT INTO t (a)")
    assert (statement.kind, statement.format, statement.data_at) == ("insert", None, None)


@pytest.mark.parametrize(
    ("source", "kind", "form"),
    [
        (b"SELECT 1", "select", None),
        (b"select 'FORMAT CSV'", "select", None),
        (b"SELECT 1 FORMAT JSONCompact;", "select", "JSONCompact"),
        (b"WITH 1 AS x SELECT x FORMAT TSV SETTINGS max_threads=1", "select", "TSV"),
        (b"(SELECT 1) UNION ALL (SELECT 2) FORMAT CSV", "select", "CSV"),
        (b"SELECT format FROM (SELECT 1 AS format FORMAT x)", "select", None),
        (b"SELECT format FROM t ORDER BY format LIMIT 1 FORMAT Native", "select", "Native"),
        (b"SHOW TABLES FORMAT JSON", "other", "JSON"),
        (b"CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a", "other", None),
        (b"INSERT INTO t SELECT * FROM s", "other", None),
        (b"", "other", None),
    ],
)
def test_statements_without_data_are_left_whole(source, kind, form):
    statement = parse(source)
    assert (statement.kind, statement.text, statement.format) == (kind, source, form)


@pytest.mark.parametrize("source", [b"SELECT 1; SELECT 2", b"SELECT 1; -- x\nDROP TABLE t"])
def test_several_statements_at_once_are_refused(source):
    with pytest.raises(EngineError) as refused:
        parse(source)
    assert (refused.value.code, refused.value.status) == (62, 400)


@pytest.mark.parametrize(
    "source",
    [
        b"SELECT 1 INTO OUTFILE '/tmp/x'",
        b"INSERT INTO t FROM INFILE '/etc/passwd'",
        b"INSERT INTO t SELECT * FROM input('a Int8') FORMAT TSV\n1",
    ],
)
def test_what_the_engine_would_do_otherwise_than_the_server_is_refused(source):
    with pytest.raises(EngineError) as refused:
        parse(source)
    assert refused.value.status == 501


@given(st.text().map(lambda text: text.replace("\\", "\\\\").replace("'", "\\'")))
def test_nothing_inside_quotes_counts(text):
    source = f"SELECT '{text}' FORMAT CSV".encode()
    assert parse(source).format == "CSV"


@given(st.binary())
def test_any_bytes_are_read_or_refused(source):
    try:
        statement = parse(source)
    except EngineError:
        return
    assert source.startswith(statement.text)


def test_an_exception_is_told_once_and_without_our_files():
    raised = (
        "Code: 27. DB::Exception: Code: 27. DB::Exception: Cannot parse: (at row 2)\n"
        ": (in file/uri /tmp/staging/x): While executing File: data for INSERT was parsed from file"
        ". (CANNOT_PARSE) (version 26.9.2.1). (CANNOT_PARSE)"
    )
    error = engine_error(raised, "26.9.2.1")
    assert error.text("26.9.2.1") == (
        "Code: 27. DB::Exception: Cannot parse: (at row 2)\n. (CANNOT_PARSE) (version 26.9.2.1)\n"
    )
    assert error.status == 400
