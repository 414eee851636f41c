"""What a way back may lose or make wrong is found, and what nobody can know is not asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backout.databases.postgres.generated.look import Column, Look, Table, Type
from backout.databases.postgres.generated.oracle import Readings, wrong_rows
from backout.databases.postgres.generated.seen import Row, Seen

_INT, _TEXT = 23, 25


def _table(path: str, *columns: tuple[int, str, int], oid: int = 1, nullable: str = "") -> Table:
    made = tuple(
        Column(number, name, kind, -1, str(kind), name not in nullable.split(), None, False, "")
        for number, name, kind in columns
    )
    return Table(oid, path, made, (("id",),), ("id",), (), {}, {}, False)


def _look(*tables: Table) -> Look:
    return Look({one.oid: one for one in tables}, {})


OLD = _table("t", (1, "id", _INT), (2, "a", _TEXT), (3, "b", _TEXT))
NEW = _table("u", (1, "id", _INT), (2, "c", _TEXT), (4, "d", _TEXT))
"""Renamed, a column renamed, one dropped, one added."""
WIDE = _table("t", (1, "id", _INT), (2, "a", _INT), (3, "b", _TEXT), nullable="b")
"""A type changed, a NOT NULL taken away."""


def _rows(*rows: tuple[str | None, ...], names: str) -> list[Row]:
    return [dict(zip(names.split(), row, strict=True)) for row in rows]


def _old(*rows: tuple[str | None, ...]) -> Seen:
    return Seen(_look(OLD), {"t": _rows(*rows, names="id a b")})


def _new(*rows: tuple[str | None, ...]) -> Seen:
    return Seen(_look(NEW), {"u": _rows(*rows, names="id c d")})


BEFORE = _old(("1", "x", "p"), ("2", "y", "q"), ("3", "z", "r"))
# Row 2 was changed by the migration, 3 deleted by it, 9 made by it.
MADE = _new(("1", "x", "-"), ("2", "Y", "-"), ("9", "m", "-"))
# 1 was changed since, 4 written since.
SINCE = _new(("1", "X", "-"), ("2", "Y", "-"), ("9", "m", "-"), ("4", "n", "-"))
RIGHT = [("1", "X", "p"), ("2", "y", "q"), ("3", "z", "r"), ("4", "n", None)]


def _found(*back: tuple[str | None, ...]) -> list[tuple[str | None, str]]:
    read = Readings(_look(OLD), _look(NEW), BEFORE, MADE, SINCE, _old(*back))
    return [(one.column, one.said) for one in wrong_rows(read)]


def test_right_is_right() -> None:
    assert _found(*RIGHT) == []


@pytest.mark.parametrize(
    ("place", "row", "column", "said"),
    [
        (0, ("1", "x", "p"), "a", "a row has not the value that was written since"),
        (0, ("1", "X", None), "b", "a row has not the value that it had before"),
        (1, ("2", "Y", "q"), "a", "a row has not the value that it had before"),
        (1, None, None, "a row is not there that has to be"),
        (2, None, None, "a row is not there that has to be"),
        (2, ("3", "z", ""), "b", "a row has not the value that it had before"),
        (3, None, None, "a row is not there that was written since"),
        (3, ("4", "", None), "a", "a row has not the value that was written since"),
    ],
)
def test_each_wrong_is_found(
    place: int, row: tuple[str | None, ...] | None, column: str | None, said: str
) -> None:
    back: list[tuple[str | None, ...]] = [*RIGHT]
    back[place : place + 1] = [] if row is None else [row]
    assert (column, said) in _found(*back)


def test_what_the_migration_had_made_has_to_go() -> None:
    assert _found(*RIGHT, ("9", "m", None)) == [(None, "a row is still there that the migration had made")]


def test_what_nobody_has_written_is_found() -> None:
    assert _found(*RIGHT, ("7", "", "")) == [(None, "a row is there that nobody has written")]


def test_what_was_deleted_since_stays_away() -> None:
    since = _new(("2", "Y", "-"), ("9", "m", "-"), ("4", "n", "-"))
    read = Readings(_look(OLD), _look(NEW), BEFORE, MADE, since, _old(*RIGHT))
    assert [one.said for one in wrong_rows(read)] == ["a row is there again that was deleted since"]


def test_a_dropped_table_comes_back_as_it_was() -> None:
    for back, said in [
        (BEFORE, []),
        (_old(("1", "x", "p"), ("2", "y", "q")), ["1 rows of the dropped table are not there as they were"]),
        (Seen(_look(), {}), ["the table is not there"]),
    ]:
        read = Readings(_look(OLD), _look(), BEFORE, Seen(_look(), {}), Seen(_look(), {}), back)
        assert [one.said for one in wrong_rows(read)] == said


def _wide(*rows: tuple[str | None, ...]) -> Seen:
    return Seen(_look(WIDE), {"t": _rows(*rows, names="id a b")})


def test_a_value_changed_in_another_type_is_nobodys_to_know_but_an_untouched_one_is() -> None:
    before = _old(("1", "01", "p"), ("2", "02", "q"))
    made, since = _wide(("1", "1", "p"), ("2", "2", "q")), _wide(("1", "1", "p"), ("2", "7", None))
    read = Readings(_look(OLD), _look(WIDE), before, made, since, _old(("1", "1", "p"), ("2", "7", "answer")))
    assert [(one.column, one.said) for one in wrong_rows(read)] == [
        ("a", "a row has not the value that it had before")
    ]


def test_a_row_whose_key_the_migration_changed_is_the_same_row() -> None:
    before = _old(("1", "x", "p"), ("2", "y", "q"), ("3", "z", "r"))
    made = _new(("11", "x", "-"), ("12", "y", "-"), ("13", "z", "-"))
    # 12 was changed since, 13 deleted since.
    since = _new(("11", "x", "-"), ("12", "Y", "-"))

    def found(*back: tuple[str | None, ...]) -> list[str]:
        return [
            one.said for one in wrong_rows(Readings(_look(OLD), _look(NEW), before, made, since, _old(*back)))
        ]

    assert found(("1", "x", "p"), ("2", "Y", "q")) == []
    assert found(("11", "x", "p"), ("2", "Y", "q")) != []
    assert found(("1", "x", "p"), ("2", "Y", "q"), ("3", "z", "r")) == [
        "a row is there again that was deleted since"
    ]


def _enum(*labels: str) -> Type:
    return Type(_ENUM, "e", "e", "e", 0, (0, -1), False, labels, tuple(range(1, len(labels) + 1)), (), (), 0)


_ENUM, _ENUMS = 1001, 1002
_ARRAY = Type(_ENUMS, "_e", "e[]", "b", _ENUM, (0, -1), False, (), (), (), (), 0)
LABELLED = _table("t", (1, "id", _INT), (2, "a", _ENUM), (3, "b", _ENUMS))


@pytest.mark.parametrize(("a", "b", "wrong"), [("old", "{old,same}", []), ("same", "{same}", ["a", "b"])])
def test_a_renamed_label_that_was_written_since_has_its_earlier_name(
    a: str, b: str, wrong: list[str]
) -> None:
    was, became = (
        Look({1: LABELLED}, {_ENUM: _enum(name, "same"), _ENUMS: _ARRAY}) for name in ("old", "new")
    )
    before, made, since, back = (
        Seen(look, {"t": _rows(*rows, names="id a b")})
        for look, rows in (
            (was, [("1", "old", "{old}")]),
            (became, [("1", "new", "{new}")]),
            (became, [("1", "new", "{new}"), ("2", "new", "{new,same}")]),
            (was, [("1", "old", "{old}"), ("2", a, b)]),
        )
    )
    found = wrong_rows(Readings(was, became, before, made, since, back))
    assert [one.column for one in found] == wrong


@pytest.mark.parametrize(
    ("written", "back", "wrong"),
    [("y", ("y", "Y"), []), ("x", ("x", "X"), []), ("x", ("x", "Y"), ["b"])],
)
def test_a_dropped_computed_column_follows_what_was_written_since(
    written: str, back: tuple[str, str], wrong: list[str]
) -> None:
    *plain, last = OLD.columns
    old = replace(OLD, columns=(*plain, replace(last, generated=True)))
    new = replace(OLD, columns=tuple(plain))
    was, became = _look(old), _look(new)
    before, made, since, there = (
        Seen(look, {"t": _rows(row, names=names)})
        for look, row, names in (
            (was, ("1", "x", "X"), "id a b"),
            (became, ("1", "x"), "id a"),
            (became, ("1", written), "id a"),
            (was, ("1", *back), "id a b"),
        )
    )
    found = wrong_rows(Readings(was, became, before, made, since, there))
    assert [one.column for one in found] == wrong


ANEW = _table("t", (1, "id", _INT), (2, "b", _TEXT), (3, "a", _TEXT), (4, "n", _INT), oid=2, nullable="b")
"""Another table of that name, with its rows."""


def _anew(*rows: tuple[str | None, ...]) -> Seen:
    return Seen(_look(ANEW), {"t": _rows(*rows, names="id b a n")})


@pytest.mark.parametrize(
    ("carried", "back", "said"),
    [
        ("x", [("1", "X", "p"), ("2", "y", "q"), ("4", "n", None)], []),
        ("x", [("1", "x", "p"), ("2", "y", "q"), ("4", "n", None)], ["a row has not the value that was written since"]),
        ("x", [("1", "X", "p"), ("2", "y", "q")], ["a row is not there that was written since"]),
        ("x", [("1", "X", "p"), ("4", "n", None)], ["a row is not there that has to be"]),
        # It has not taken over the values: nobody knows that it is the same.
        ("?", [("1", "x", "p"), ("2", "y", "q"), ("3", "z", "r")], []),
    ],
)  # fmt: skip
def test_a_table_that_was_built_anew_has_what_is_written_to_the_one_that_it_knows(
    carried: str, back: list[tuple[str | None, ...]], said: list[str]
) -> None:
    made = _anew(("1", "p", carried, "5"), ("3", "r", "z", "5"))
    # 2 was not taken over; 3 was deleted since.
    since = _anew(("1", "p", "X", "5"), ("4", None, "n", "6"))
    found = wrong_rows(Readings(_look(OLD), _look(ANEW), BEFORE, made, since, _old(*back)))
    assert [one.said for one in found] == said


def test_a_table_of_which_that_is_told_has_to_be_as_it_was_dropped() -> None:
    made = _anew(("1", "p", "x", "5"), ("2", "q", "y", "5"), ("3", "r", "z", "5"))
    since = _anew(("1", "p", "X", "5"))
    read = Readings(_look(OLD), _look(ANEW), BEFORE, made, since, BEFORE, frozenset({"t"}))
    assert wrong_rows(read) == []
    assert wrong_rows(replace(read, left=frozenset())) != []


TAKER = _table("v", (1, "of", _INT), (2, "a", _TEXT), (3, "b", _TEXT), (4, "n", _INT), oid=3)


@pytest.mark.parametrize(
    ("back", "said"),
    [
        ([("1", "X", "p"), ("2", "y", "q"), ("4", "n", None)], []),
        ([("1", "x", "p"), ("2", "y", "q"), ("4", "n", None)], ["a row has not the value that was written since"]),
        ([("1", "X", None), ("2", "y", "q"), ("4", "n", None)], ["a row has not the value that it had before"]),
        ([("1", "X", "p"), ("2", "y", "q")], ["a row is not there that was written since"]),
        ([("1", "X", "p"), ("2", "y", "q"), ("3", "z", "r"), ("4", "n", None)], ["a row is there again that was deleted since"]),
    ],
)  # fmt: skip
def test_a_table_that_gets_the_rows_of_another_one_has_what_is_written_to_that(
    back: list[tuple[str | None, ...]], said: list[str]
) -> None:
    taker = replace(TAKER, keys=(("of",),))

    def rows(*found: tuple[str | None, ...]) -> Seen:
        return Seen(_look(taker), {"v": _rows(*found, names="of a b n")})

    made = rows(("1", "x", "-", "1"), ("2", "y", "-", "2"), ("3", "z", "-", "3"))
    since = rows(("1", "X", "-", "1"), ("2", "y", "-", "2"), ("4", "n", "-", "4"))
    read = Readings(_look(OLD), _look(taker), BEFORE, made, since, _old(*back), brought={"t": "v"})
    assert [one.said for one in wrong_rows(read)] == said
    # Two columns have the keys: nobody knows which one tells the rows.
    both = replace(read, became=_look(replace(taker, keys=(("of",), ("n",)))))
    assert all("dropped table" in one.said for one in wrong_rows(both)) and wrong_rows(both)
    assert all("dropped table" in one.said for one in wrong_rows(replace(read, brought={})))
