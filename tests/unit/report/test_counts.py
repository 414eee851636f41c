"""Rows by table on both sides."""

from __future__ import annotations

from backout.backup import TableCount
from backout.report.counts import FEW, count_lines


def _shown(*counts: TableCount, most: int | None = None) -> list[tuple[str, str, str]]:
    return [(line.table, str(line.now), str(line.then)) for line in count_lines(counts, most).lines]


def _of(table: str, live: int | None, restored: int | None, **exact: bool) -> TableCount:
    return TableCount(table=table, live=live, restored=restored, **exact)


def test_what_differs_most_stands_first_in_either_direction_then_by_name() -> None:
    told = _shown(_of("b", 5, 5), _of("a", 5, 5), _of("more", 9, 2), _of("fewer", 1, 90), _of("new", 8, None))
    assert [table for table, _now, _then in told] == ["fewer", "new", "more", "a", "b"]


def test_an_estimate_is_marked_on_the_side_that_it_is_of() -> None:
    (told,) = _shown(_of("a", 12_345, 12_000, live_exact=False))
    assert told == ("a", "about 12,345", "12,000")


def test_a_table_that_is_on_one_side_only_is_told_from_a_side_of_which_nothing_is_known() -> None:
    assert _shown(_of("both", 1, 1), _of("later", 7, None), _of("gone", None, 3)) == [
        ("later", "7", "not there"),
        ("gone", "not there", "3"),
        ("both", "1", "1"),
    ]
    assert _shown(_of("a", 7, None)) == [("a", "7", "not known")]


def test_a_plan_shows_a_few_and_says_how_many_more_there_are_and_whether_they_differ() -> None:
    equal = [_of(f"t{n:02}", n, n) for n in range(20)]
    shown, more = count_lines([*equal, _of("big", 9, 1)], FEW)
    assert len(shown) == FEW and shown[0].table == "big"
    assert str(more) == f"and {21 - FEW} more tables, with as many rows on both sides"
    _shown_now, differing = count_lines([_of(f"t{n}", n + 1, 0) for n in range(20)], FEW)
    assert str(differing) == f"and {20 - FEW} more tables"
    assert count_lines(equal[:FEW], FEW).more is None
    assert len(count_lines(equal).lines) == len(equal)
