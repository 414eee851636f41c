"""Constraints that are NOT VALID, out of the way of rows that were there before them: those may not meet them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.rows.report import RowsReport, Why
from backout.databases.postgres.reversible.snapshot import Key, Thing
from backout.databases.postgres.reversible.work import Work

_SAVEPOINT = "backout_unproven"


def past_unproven(work: Work, tables: Collection[int], write: Callable[[], RowsReport]) -> RowsReport:
    """Put rows back; where the database refuses some, once more without the constraints that are NOT VALID, which come back so.

    PostgreSQL looks at every row that is written, but not at those that were there: a row that was there is put back as it was.

    Args:
        work: The transaction.
        tables: Oids of the tables that are written.
        write: Puts the rows back; it is undone before it is asked again.
    """
    work.link.rows(f"SAVEPOINT {_SAVEPOINT}")
    report = write()
    refused = any(one.why is Why.REFUSED for one in report.kept) or report.kept_count > len(report.kept)
    away = list(_unproven(work, tables)) if refused else []
    if away:
        work.link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        work.forget()
        places = [(one, work.table_path(one["table"], called=str(one["name"]))) for one in away]
        for one, table in places:
            work.run(f"ALTER TABLE {table} DROP CONSTRAINT {ident(one['name'])}")
        report = write()
        for one, table in places:
            # Nothing but rows was changed meanwhile: its text still says what it is.
            name = ident(one["name"])
            work.run(f"ALTER TABLE {table} ADD CONSTRAINT {name} {one['definition']}")
            if one["comment"] is not None:
                work.run(f"COMMENT ON CONSTRAINT {name} ON {table} IS {literal(one['comment'])}")
    work.link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    return report


def _unproven(work: Work, tables: Collection[int]) -> Iterator[Thing]:
    """Yield foreign keys and CHECKs of tables that stand alone; of families they cannot be made again one by one."""
    for table in sorted(tables):
        there = work.now.things.get(Key("table", table))
        if there is None or there["kind"] != "r" or there["parents"]:
            continue
        for thing in work.now.of_table("constraint", table).values():
            # Else it is NOT ENFORCED, and refuses nothing.
            if (
                thing["kind"] in ("f", "c")
                and str(thing["definition"]).endswith(" NOT VALID")
                and thing["local"]
            ):
                yield thing
