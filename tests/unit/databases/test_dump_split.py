"""Where psql would cut a text: whatever the size of the blocks it comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.databases.postgres.dumps.pieces import Kind, Piece, Unsplittable
from backout.databases.postgres.dumps.split import Splitter

TEXTS = [
    b"SELECT 1; SELECT 'a;b''c'; SELECT \"x;\"\"y\";\n",
    b"SELECT E'it\\'s; -- no', e'\\\\'; SELECT 2;\n",
    b"SELECT E'a'\n'b\\'; \\! rm';\nSELECT 3;\n",
    b"CREATE FUNCTION f() RETURNS int AS $body$ begin; $$ ; \\! x $body$; SELECT a$b$c;\n",
    b"CREATE FUNCTION g(a int) RETURNS int BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 1 END; SELECT 2; END;\nSELECT 4;\n",
    b"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);\n",
    b"-- a comment; 'with\n/* and /* nested; */ ' */ SELECT 5 -- ; '\n;\n",
    b"\\restrict abc\nSELECT 1 \\! ls\n;\n\\connect other\n",
    b"INSERT INTO public.t VALUES (1, 'a;b''c', -2.5);\nINSERT INTO public.t VALUES (2, E'\\'', 1/2);\nSELECT 1;\n",
    b"COPY t FROM stdin;\n1\ta\\.b\n\\\\.\n\\.\n\nCOPY u FROM stdin;\n\\.\nSELECT 6;\r\n",
    b"COPY t FROM stdin;\r\nx\r\n\\.\r\nSELECT 7;\r\n",
    b"SELECT 'never ends; \n\\! ls\n",
]


def pieces_of(text: bytes, sizes: list[int]) -> list[Piece]:
    splitter, found, at = Splitter(), [], 0
    blocks = []
    for size in sizes:
        blocks.append(text[at : at + size])
        at += size
    blocks.append(text[at:])
    for block in blocks:
        for piece in splitter.feed(block):
            found.append(piece)
            if piece.kind is Kind.STATEMENT and piece.text.strip().startswith(b"COPY"):
                splitter.begin_data()
    return [*found, *splitter.feed(b"", last=True)]


def told(pieces: list[Piece]) -> list[tuple[Kind, bytes, int]]:
    """Return what matters, with runs of INSERTs and of data counted as one."""
    kept: list[tuple[Kind, bytes, int]] = []
    for piece in pieces:
        if piece.kind is Kind.SPACE:
            continue
        kind = Kind.STATEMENT if piece.kind is Kind.INSERTS else piece.kind
        if kind is Kind.DATA and kept and kept[-1][0] is Kind.DATA:
            continue
        text = b"" if piece.text.lstrip().startswith(b"INSERT") else piece.text.strip()
        if (kind, text) == (Kind.STATEMENT, b"") and kept and kept[-1][:2] == (Kind.STATEMENT, b""):
            continue
        kept.append((kind, text, piece.line))
    return kept


@given(st.sampled_from(TEXTS), st.lists(st.integers(1, 30), max_size=60))
def test_the_size_of_the_blocks_changes_nothing(text: bytes, sizes: list[int]):
    cut = pieces_of(text, sizes)
    assert b"".join(p.raw for p in cut) == text
    whole = told(pieces_of(text, []))
    assert [t[:2] for t in told(cut)] == [t[:2] for t in whole]
    for piece in cut:
        before = text[: len(b"".join(p.raw for p in cut[: cut.index(piece)]))]
        if piece.kind is Kind.COMMENT:
            assert piece.line == before.count(b"\n") + 1


def statements(text: bytes) -> list[bytes]:
    return [b" ".join(p.text.split()) for p in pieces_of(text, []) if p.kind is Kind.STATEMENT]


def test_quotes_hide_what_is_in_them():
    assert statements(TEXTS[0]) == [b"SELECT 1;", b"SELECT 'a;b''c';", b'SELECT "x;""y";']
    assert statements(TEXTS[1])[1] == b"SELECT 2;"
    assert statements(TEXTS[3])[1] == b"SELECT a$b$c;"


def test_an_escaped_string_that_goes_on_in_the_next_line_keeps_its_escapes():
    assert statements(TEXTS[2])[1] == b"SELECT 3;"
    assert [p for p in pieces_of(TEXTS[2], []) if p.kind is Kind.COMMAND] == []


def test_a_call_in_a_row_is_a_statement_to_be_judged():
    text = b"INSERT INTO t VALUES (1, '(');\nINSERT INTO t VALUES (f(1));\nINSERT INTO t VALUES (2);\n"
    kinds = [p.kind for p in pieces_of(text, []) if p.kind is not Kind.SPACE]
    assert kinds == [Kind.INSERTS, Kind.STATEMENT, Kind.INSERTS]


def test_bodies_of_sql_functions_and_rules_are_one_statement():
    assert len(statements(TEXTS[4])) == 2
    assert len(statements(TEXTS[5])) == 1


def test_commands_are_found_wherever_they_stand():
    found = [(p.text, p.inside, p.line) for p in pieces_of(TEXTS[7], []) if p.kind is Kind.COMMAND]
    assert found == [(b"\\restrict abc", False, 1), (b"\\! ls", True, 2), (b"\\connect other", False, 4)]


def test_rows_end_where_psql_ends_them():
    data = b"".join(p.raw for p in pieces_of(TEXTS[9], []) if p.kind is Kind.DATA)
    assert data == b"\n1\ta\\.b\n\\\\.\n\\.\n\\."
    assert statements(TEXTS[9])[-1] == b"SELECT 6;"


def test_rows_that_do_not_begin_on_a_line_of_their_own_are_refused():
    with pytest.raises(Unsplittable, match="begins in a line"):
        pieces_of(b"COPY t FROM stdin; \\! id\n1\n\\.\n", [])


def test_a_text_that_ends_in_the_middle_says_in_what():
    assert pieces_of(TEXTS[11], [])[-1].kind is Kind.UNFINISHED
    last = pieces_of(b"COPY t FROM stdin;\n1\n2", [])[-1]
    assert (last.kind, last.text) == (Kind.UNFINISHED, b"copy")


def test_a_statement_without_line_ends_needs_no_more_memory_than_its_beginning():
    splitter = Splitter()
    kinds = []
    for block in [b"INSERT INTO t VALUES ('", *[b"x" * 100_000] * 30, b"'", b");\n"]:
        for piece in splitter.feed(block):
            kinds.append(piece.kind)
            assert len(piece.raw) <= 200_000
    assert kinds[0] is Kind.STATEMENT and set(kinds[1:-1]) == {Kind.BODY}
