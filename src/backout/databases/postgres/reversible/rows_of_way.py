"""What migrations did to rows, taken back or done again by a way: at its end, or span by span around changes of types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.rows import undo as rows_undo
from backout.databases.postgres.reversible.rows.report import RowsReport
from backout.databases.postgres.reversible.rows.store import WAY, Span, writers
from backout.databases.postgres.reversible.unproven import past_unproven
from backout.databases.postgres.reversible.work import Work


@dataclass(slots=True)
class RowsOfWay:
    """Takes back what migrations did to rows: all at the end, or from a place in their log on before. Or does it again.

    Attributes:
        work: The transaction.
        chosen: The migrations.
        entries: Their changes.
        back: The direction.
        until: From where on it is done.
        reports: What was done.
    """

    work: Work
    chosen: tuple[int, ...]
    entries: list[Entry]
    back: bool
    until: int | None = None
    reports: list[RowsReport] = field(default_factory=list)

    def __call__(self, since: int | None) -> None:
        """Do it from a place on; None: do the rest."""
        if self.until is None or since is None or since < self.until:
            self._do(Span(since, self.until, goes_on=bool(self.reports)))
            self.until = since

    def forth(self) -> None:
        """Do all of it again, in the same spans."""
        places = {place for some in _places(self.entries).values() for place in some}
        for since, until in pairwise([None, *sorted(places), None]):
            self._do(Span(since, until, goes_on=bool(self.reports)))

    def _do(self, span: Span) -> None:
        while self.work.before_rows:
            self.work.before_rows.pop(0)()
        tables = {oid for entry in self.entries if entry.kind == "rows" for oid in entry.operation["tables"]}
        if not tables:
            return

        def write() -> RowsReport:
            return _turned(self.work, self.chosen, self.entries, span, back=self.back)

        self.reports.append(past_unproven(self.work, tables, write) if self.back else write())


def _turned(
    work: Work, chosen: tuple[int, ...], entries: list[Entry], span: Span, *, back: bool
) -> RowsReport:
    # A column that was made has kept its values, or got those of rows written meanwhile.
    by, places = writers(work.link, chosen, span), _places(entries)
    made = [
        one for one in journal.entries(work.link, chosen, "applied", "undone") if one.kind == "column.added"
    ]
    kept = {(one.operation["table"], one.operation["attnum"]) for one in made if one.migration in by}
    # What its migration has written there after the first place is told by the rows of before and after.
    later = {
        (one.operation["table"], one.operation["attnum"])
        for one in made
        if span.since is not None and span.since >= min(places.get(one.migration, [span.since + 1]))
    }
    hidden_ones = [*journal.of_kind(work.link, "column.hidden"), *entries]
    taken = [one for one in hidden_ones if one.kind == "column.hidden" and "taken" in one.operation]
    # A dropped column is computed from those that took it over, with what they have.
    later -= {
        (one.operation.get("hidden", one.operation)["table"], attnum)
        for one in taken
        for step in one.operation["taken"]["down"]
        for attnum in step["columns"]
    }
    turned = {one for entry in entries for one in _columns_turned(entry)}
    hidden = {
        (key.oid, key.sub)
        for key, one in work.now.things.items()
        if key.kind == "column" and is_hidden(str(one["name"]))
    }
    write = rows_undo.undo if back else rows_undo.redo
    # Of a change of a type that goes the same way, or that stays made, both columns have what belongs together; so have a
    # dropped column and those that took it over.
    converted = [*journal.of_kind(work.link, "column.retyped"), *taken]
    together = {one.id for one in entries} | {one.id for one in converted if one.state == "applied"}
    told = sorted({str(one.id) for one in converted if one.id in together})
    work.link.rows(f"SET LOCAL {WAY} = ',{','.join(told)},'")
    unseen = hidden - turned - {(one.operation["table"], one.operation["attnum"]) for one in made}
    report = write(
        work.link,
        chosen,
        leave=_by_table(kept - later),
        unseen=_by_table(unseen),
        quiet=_by_table(later),
        marks=_marks(work.link, entries),
        span=span,
    )
    work.link.rows(f"SET LOCAL {WAY} = ''")
    return report


def writes_made(migration: int, entries: list[Entry]) -> bool:
    """Tell whether a migration has written rows that may have columns which an earlier one of the same way has made.

    What it has written there goes before they are hidden: their own migration's values stay in them.
    """
    made = any(one.kind == "column.added" and one.migration < migration for one in entries)
    return made and any(
        one.kind == "rows" and one.operation["tables"] for one in entries if one.migration == migration
    )


def _places(entries: list[Entry]) -> dict[int, list[int]]:
    """Return by migration the places in its log at which a column got another type: rows are converted between them."""
    found: dict[int, list[int]] = {}
    for entry in entries:
        place = entry.operation.get("rows_since")
        if place is not None:
            found.setdefault(entry.migration, []).append(place)
    return found


def _by_table(columns: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for table, attnum in columns:
        found.setdefault(table, []).append(attnum)
    return found


def _columns_turned(entry: Entry) -> set[tuple[int, int]]:
    """Return the columns that a change hides on one way and shows on the other: their values have to go along."""
    told = entry.operation
    if entry.kind == "column.retyped" and told["form"] == "twin":
        return {(told["table"], told["old"]), (told["table"], told["new"])}
    if entry.kind == "column.hidden":
        record = told.get("hidden", told)
        return {(record["table"], record["attnum"])}
    return set()


def _marks(link: Link, entries: Sequence[Entry]) -> dict[int, dict[int, set[str]]]:
    """Return what rows have had in columns while those were hidden, by table and attnum.

    Args:
        link: The session.
        entries: Of the way, as they were before it: what it shows has lost its mark since.
    """
    found: dict[int, dict[int, set[str]]] = {}
    for one in (*entries, *journal.every_entry(link)):
        if one.kind == "column.hidden":
            record = one.operation.get("hidden", one.operation)
            marks = {*one.operation.get("marks", ()), *filter(None, [record.get("mark")])}
            found.setdefault(record["table"], {}).setdefault(record["attnum"], set()).update(marks)
    return found
