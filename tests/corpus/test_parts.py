"""What the harness makes of what it reads: it must not take for proven what is not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.corpus.answering import ANY, TYPED, asked, called, late
from tests.corpus.comparing import beyond, other_rows, other_things, things_beyond
from tests.corpus.destroys import destroys, is_history
from tests.corpus.effort import effort
from tests.corpus.report import Found, together
from tests.corpus.results import ALL, AT_ONCE, WRITES

from backout.databases.postgres.generated.look import Column, Look, Table
from backout.databases.postgres.generated.seen import Row, Seen
from backout.databases.postgres.reversible.fingerprint import Print
from backout.databases.postgres.reversible.journal import Entry
from backout.migration import WayTaken
from backout.migration_status import RowsSince

_INT, _TEXT = 23, 25


def _seen(path: str, columns: dict[str, tuple[int, int]], rows: list[Row], oid: int = 1) -> Seen:
    made = tuple(
        Column(number, name, kind, -1, str(kind), False, None, False, "")
        for name, (number, kind) in columns.items()
    )
    table = Table(oid, path, made, (), (), (), {}, {}, False)
    return Seen(Look({oid: table}, {}), {path: rows})


OLD = _seen("public.t", {"a": (1, _INT), "b": (2, _TEXT)}, [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}])


@pytest.mark.parametrize(
    ("after", "kinds"),
    [
        (_seen("public.u", {"c": (1, _INT), "b": (2, _TEXT)}, [{"c": "1", "b": "x"}, {"c": "2", "b": "y"}]), []),
        (_seen("public.t", {"a": (1, _INT)}, [{"a": "1"}, {"a": "2"}]), ["drop column"]),
        (_seen("public.t", {"a": (1, _INT)}, [], oid=2), ["drop table"]),
        (_seen("public.t", {"a": (1, _TEXT), "b": (2, _TEXT)}, [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]), ["type"]),
        (_seen("public.t", {"a": (1, _INT), "b": (2, _TEXT)}, [{"a": "1", "b": "x"}, {"a": "2", "b": "-"}]), ["update"]),
        (_seen("public.t", {"a": (1, _INT), "b": (2, _TEXT)}, [{"a": "1", "b": "x"}]), ["delete"]),
    ],
)  # fmt: skip
def test_a_loss_is_told_by_numbers_and_not_by_names(after: Seen, kinds: list[str]) -> None:
    assert destroys(OLD, after) == kinds


def test_what_differs_each_time_is_no_difference_and_everything_else_is() -> None:
    other = _seen("public.t", {"a": (1, _INT), "b": (2, _TEXT)}, [{"a": "1", "b": "z"}, {"a": "2", "b": "y"}])
    assert other_rows(OLD, OLD) == {}
    assert list(beyond(other_rows(OLD, other), {})) == ["public.t: b"]
    assert list(beyond(other_rows(OLD, other), {"public.t": {"b"}})) == []
    assert other_rows(OLD, Seen(OLD.look, {"public.t": OLD.rows["public.t"][:1]})) != {}
    assert other_rows(OLD, Seen(OLD.look, {})) != {}


def test_a_thing_that_nobody_told_of_is_another() -> None:
    one, other = Print(things={"column public.t.a": "integer"}), Print(things={"column public.t.a": "text"})
    assert len(other_things(one, other)) == 1
    assert len(other_things(one, other, ["public.u.a takes NULL"])) == 1
    assert other_things(one, other, ["public.t.a takes NULL, as was accepted"]) == []
    added = Print(things={**one.things, "extension citext": "1.6"})
    assert len(other_things(one, added)) == 1
    assert other_things(one, added, ["Extension citext stays"]) == []


def test_a_thing_that_is_another_each_time_is_no_difference() -> None:
    one, other, third = (Print(things={"column t.a": f"text DEFAULT '{n}'", "index i": "(a)"}) for n in "123")
    assert things_beyond(one, other, third) == []
    assert len(things_beyond(one, other, one)) == 1
    assert len(things_beyond(one, Print(things={"column t.a": "text"}), third)) == 1


def test_what_is_asked_for_is_read_from_the_error() -> None:
    said = (
        'psycopg2.errors.FeatureNotSupported: backout needs an answer for public."T".a\n'
        "DETAIL:  Rows that are written after its type was changed have a text, of which PostgreSQL makes no integer by itself.\n"
        'HINT:  Write this line into the statement, with the earlier value told by the later one: -- backout: back "T".a = EXPR; or run'
    )
    assert called(said) == 'public."T".a'
    assert called("backout needs an answer for public.t.a Rows that are written after. More.") == "public.t.a"
    assert called('backout needs an answer for public."a b"."c.d"') == 'public."a b"."c.d"'
    assert asked(said) == [('back "T".a', '("a")::text::integer'), ('back "T".a', "NULL")]
    assert asked("HINT: … -- backout: fill t.b = EXPR; or …") == [
        ("t.b", TYPED),
        ("t.b", "NULL"),
        ("t.b", ANY),
    ]
    assert asked("ERROR: relation does not exist") == []
    assert late("backout db rollback --fill t.k=EXPR") == "t.k"
    assert late("backout db rollback --fill 'Some.\"T\".k=EXPR'") == 'Some."T".k'
    assert late("backout db history") is None


def test_a_tools_own_table_is_nobodys() -> None:
    assert is_history('"public"."alembic_version"') and is_history("drizzle.__drizzle_migrations")
    assert not is_history('"public"."orders"')


def _entry(kind: str, **operation: Any) -> Entry:
    return Entry(1, 1, 1, kind, operation, "applied")


def _way(*statements: str) -> WayTaken:
    return WayTaken(
        direction="back", migrations=(1,), dry_run=False, seconds=0, statements=statements, later=()
    )


def test_what_holds_the_locks_for_long_is_found() -> None:
    quick = _way(
        'ALTER TABLE t RENAME COLUMN "a" TO "_bo_1"', "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"
    )
    filled = RowsSince(kind="filled", what="t.a", rows=1, stops=False)
    assert effort([], [], quick, [], sets_back_many=False, retyped=True) == (AT_ONCE, False)
    assert effort([], [filled], quick, [], sets_back_many=False, retyped=True) == (WRITES, False)
    assert effort(
        [], [], quick, ["ALTER TABLE t VALIDATE CONSTRAINT c"], sets_back_many=False, retyped=True
    ) == (
        ALL,
        False,
    )
    assert effort([_entry("key.dropped")], [], quick, [], sets_back_many=False, retyped=True) == (ALL, False)
    assert effort([], [], quick, [], sets_back_many=True, retyped=True) == (ALL, True)
    assert effort(
        [_entry("column.retyped", form="in place")], [], quick, [], sets_back_many=False, retyped=True
    ) == (
        ALL,
        True,
    )
    for slow in (
        "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u",
        "CREATE INDEX i ON t (a)",
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
    ):
        assert effort([], [], _way(slow), [], sets_back_many=False, retyped=True) == (ALL, True)


def test_counts_are_counts() -> None:
    one = {
        "verdict": "O(1)",
        "held": False,
        "destructive": ["type"],
        "own": {"runs": True, "schema": True, "rows": False},
    }
    two = {"verdict": "refused", "held": False, "destructive": [], "own": None}
    found = together(
        [Found("a", "1", "plain", 2, 1, "15.1", (one, two)), Found("b", "1", "plain", 1, 1, "15.1", (one,))]
    )
    assert (found.steps, found.count(), found.count("O(1)"), found.count(destructive=True)) == (3, 3, 2, 2)
    assert (found.own("there"), found.own("runs"), found.own("both"), found.not_held) == (2, 2, 0, 2)
