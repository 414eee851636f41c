"""A value that the earlier type of a key cannot hold closes the way back, until somebody tells when it is taken what is put in its place."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.link import DirectLink

from .conftest import Database
from .engine import migrate, redo, run, undo
from .test_retype import printed, same

pytestmark = pytest.mark.slow

ENUM = "CREATE TYPE e AS ENUM ('a', 'b', 'z')"
ENUM_ANEW = (
    "ALTER TYPE e RENAME TO e_old; CREATE TYPE e AS ENUM ('a', 'b', 'c', 'z'); "
    "ALTER TABLE t ALTER k TYPE e USING k::text::e; DROP TYPE e_old"
)

FORMS = {
    "another column": (
        "CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1)",
        "ALTER TABLE t ALTER k TYPE bigint",
        "3000000000",
        "(k - 2999999998)::int",
        "2",
    ),
    "in place": (
        "CREATE TABLE t (k varchar(3) PRIMARY KEY); INSERT INTO t VALUES ('a')",
        "ALTER TABLE t ALTER k TYPE varchar(9)",
        "longer",
        "left(k, 3)",
        "lon",
    ),
    "an enum made anew": (
        f"{ENUM}; CREATE TABLE t (k e PRIMARY KEY); INSERT INTO t VALUES ('a')",
        ENUM_ANEW,
        "c",
        "'b'",
        "b",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_it_is_put_this_time_and_the_way_forward_brings_the_later_value(
    database: Database, form: str
) -> None:
    before, up, written, told, put = FORMS[form]
    link = database.link()
    run(link, before)
    earlier = printed(link)
    number = migrate(link, up)
    run(link, f"INSERT INTO t (k) VALUES ('{written}')")
    later = printed(link)
    _refused(link, number)
    assert same(later, printed(link)) == []
    assert len(_undone(link, {"t.k": told}).residues) == 1
    assert same(earlier, printed(link)) == []
    assert put in _keys(link)
    redo(link, number)
    assert same(later, printed(link)) == []
    assert written in _keys(link) and put not in _keys(link)
    if form == "in place":
        _refused(link, number)
        return
    undo(link, number)  # What belongs to the later value is still in the other column.
    assert put in _keys(link)


def test_it_is_for_one_way_back_alone(database: Database) -> None:
    before, up, written, told, _put = FORMS["another column"]
    link = database.link()
    run(link, before)
    number = migrate(link, up)
    run(link, f"INSERT INTO t (k) VALUES ({written})")
    _undone(link, {"t.k": told})
    redo(link, number)
    run(link, f"INSERT INTO t (k) VALUES ({written} + 1)")
    _refused(link, number)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"t.k": "NULL"}, "gets NULL anyway"),
        ({"t.k": "nothing"}, 'column "nothing" does not exist'),
        ({"t.other": "1"}, "would do nothing"),
    ],
)
def test_what_is_no_value_or_about_nothing_is_refused(
    database: Database, told: dict[str, str], why: str
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (k int PRIMARY KEY, other int)")
    migrate(link, "ALTER TABLE t ALTER k TYPE bigint")
    before = printed(link)
    with pytest.raises(NotReversible, match=why):
        _undone(link, told)
    assert same(before, printed(link)) == []


def _refused(link: DirectLink, number: int) -> None:
    with pytest.raises(NotReversible, match=r"public\.t\.k has .* written since") as refused:
        undo(link, number)
    assert refused.value.next_command == "backout db rollback --fill t.k=EXPR"


def _undone(link: DirectLink, answers: dict[str, str]) -> back.Outcome:
    outcome = back.undo(link, journal.migrations(link), patience_s=5, answers=answers)
    assert finish(link).unfinished == ()
    return outcome


def _keys(link: DirectLink) -> list[str | None]:
    return [row["k"] for row in link.rows("SELECT k FROM t")]
