"""Folding by sets and one by one is the same, and any history goes back and forward again."""

from __future__ import annotations

import random

import pytest
from tests.services.reversible.rows.bed import Bed

from backout.databases.postgres.reversible.rows.chains import Step, fold

pytestmark = pytest.mark.slow


def _statements(chance: random.Random, table: str, keyed: bool) -> list[str]:
    """Statements that move keys, collide, delete and make again."""
    made = []
    for _ in range(chance.randint(1, 12)):
        a, b, v = chance.randint(1, 8), chance.randint(1, 8), chance.choice(["x", "y", "", None])
        value = "NULL" if v is None else f"'{v}'"
        guard = f" AND NOT EXISTS (SELECT FROM {table} WHERE id = {b})" if keyed else ""
        conflict = " ON CONFLICT DO NOTHING" if keyed else ""
        made.append(
            chance.choice(
                [
                    f"UPDATE {table} SET v = {value} WHERE id = {a}",
                    f"UPDATE {table} SET v = v || 'z', w = w + 1 WHERE id >= {a}",
                    f"UPDATE {table} SET id = {b} WHERE id = {a}{guard}",
                    f"DELETE FROM {table} WHERE id = {a}",
                    f"INSERT INTO {table} VALUES ({a}, {value}, {b}){conflict}",
                ]
            )
        )
    return made


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("keyed", [True, False])
def test_any_history_goes_back_and_forward_again(bed: Bed, seed: int, keyed: bool) -> None:
    chance = random.Random(seed)
    key = "PRIMARY KEY" if keyed else ""
    bed.sql(
        f"CREATE TABLE t (id int {key}, v text, w int)",
        "INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 6) i",
    )
    states = [bed.rows("t")]
    for number in (1, 2, 3):
        bed.migrate(number, _statements(chance, "t", keyed), ["t"])
        states.append(bed.rows("t"))
    assert bed.undo(3, 2).kept == ()
    assert bed.rows("t") == states[1]
    assert bed.redo(2, 3).kept == ()
    assert bed.rows("t") == states[3]
    report = bed.undo(1, 2, 3)
    assert (report.kept, report.touched) == ((), 0)
    assert bed.rows("t") == states[0]


def _step(seq: int, old: str | None, new: str | None, old_xmin: str = "", new_xmin: str = "") -> Step:
    def image(v: str | None) -> tuple[str, str] | None:
        return None if v is None else ("1", v)

    key = ("1",)
    return Step(
        seq,
        image(old),
        image(new),
        frozenset((0, 1)),
        key if old else None,
        key if new else None,
        old_xmin,
        new_xmin,
    )


def test_the_value_written_in_between_is_what_a_row_goes_back_to() -> None:
    (chain,) = fold([_step(1, "a", "b", "10", "11"), _step(2, "c", "d", "12", "13")])
    assert (chain.old, chain.new, chain.sure) == (("1", "c"), ("1", "d"), False)
    assert chain.kept == [(1, "c", "a")]


def test_the_same_value_written_in_between_is_not_sure() -> None:
    (chain,) = fold([_step(1, "a", "b", "10", "11"), _step(2, "b", "d", "12", "13")])
    assert (chain.old, chain.new, chain.sure, chain.kept) == (("1", "a"), ("1", "d"), False, [])


def test_what_was_made_and_deleted_leaves_nothing() -> None:
    assert (
        fold([_step(1, None, "a", "", "11"), _step(2, "a", "b", "11", "11"), _step(3, "b", None, "11")]) == []
    )


def test_what_was_made_and_changed_by_others_is_theirs() -> None:
    (chain,) = fold([_step(1, None, "a", "", "11"), _step(2, "mine", "b", "12", "13")])
    assert (chain.old, chain.new) == (("1", "mine"), ("1", "b"))
