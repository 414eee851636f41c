"""What applications do not notice is compared after a way, too: owners, privileges, comments, and the order if it is asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.command_line import Done

from .conftest import Database
from .engine import run
from .test_settings import psql

pytestmark = pytest.mark.slow
Typed = Callable[..., Done]
T = "CREATE TABLE t (a int, b text, c int)"


def test_a_way_is_proven_in_all_and_in_the_order_of_columns(database: Database, typed: Typed) -> None:
    run(database.link(), T)
    for up in ("ALTER TABLE t DROP b", "ALTER TABLE t ALTER a TYPE bigint", "COMMENT ON TABLE t IS 't'"):
        typed("migrate", *psql(up)).ended(0)
    back = typed("db", "rollback", "--steps", "3", "--yes", "--strict-order", "--json").ended(0)
    assert (back.json["schema_same"], back.json["whole_same"]) == (True, True)
    ahead = typed("db", "redo", "--steps", "3", "--yes", "--strict-order").ended(0)
    assert "schema: the same as after it, by its fingerprint" in ahead.out


@pytest.mark.parametrize(
    "by_hand", ["GRANT SELECT ON t TO PUBLIC", "COMMENT ON COLUMN t.a IS 'a'", "ALTER TABLE t SET (fillfactor = 50)"]
)  # fmt: skip
def test_what_somebody_else_granted_is_said_to_be_not_compared(
    database: Database, typed: Typed, by_hand: str
) -> None:
    run(database.link(), T)
    typed("migrate", *psql("ALTER TABLE t DROP b")).ended(0)
    run(database.link(), by_hand)
    back = typed("db", "rollback", "--yes").ended(0)
    assert "the same as before it in all that applications notice; the rest was not compared" in back.out


@pytest.mark.parametrize(
    ("whole", "options", "code"),
    [
        ("'sha256:0 ' || split_part(whole_before, ' ', 2)", (), 6),
        ("split_part(whole_before, ' ', 1) || ' sha256:0'", (), 0),
        ("split_part(whole_before, ' ', 1) || ' sha256:0'", ("--strict-order",), 6),
    ],
    ids=["another one", "another order", "another order that counts"],
)
def test_another_schema_in_what_is_not_noticed_fails(
    database: Database, typed: Typed, whole: str, options: tuple[str, ...], code: int
) -> None:
    """As if the way back had led elsewhere."""
    run(database.link(), T)
    typed("migrate", *psql("ALTER TABLE t DROP b")).ended(0)
    run(database.link(), f"UPDATE backout.migration SET whole_before = {whole}")
    back = typed("db", "rollback", "--yes", *options).ended(code)
    assert ("not proven  The schema is another than the one before it in what" in back.err) is (code == 6)
