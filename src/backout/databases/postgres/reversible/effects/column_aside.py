"""DROP COLUMN of a table whose columns are not to be hidden: it is really dropped, its values are in a table beside."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from backout.databases.postgres.reversible import constraints, following, side_table, subscribers
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, TAKES, Bears, Operation
from backout.databases.postgres.reversible.readdressed import readdressed
from backout.databases.postgres.reversible.work import Work


class ColumnAside:
    """A column that the migration dropped, of a table with `keep: side-table`."""

    kind: ClassVar[str] = following.ASIDE
    down_at: ClassVar[int] = 60
    redo_at: ClassVar[int] = 40

    def bears(self, operation: Operation) -> Bears:
        """Later code writes rows without it: with a key or a required value over it that would be refused."""
        record = operation.get("hidden", operation)
        bound = any(one["kind"] in "fup" for one in record["constraints"])
        must = record.get("not_null") and record.get("default") is None
        return NEITHER if bound or must else TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: a dropped column was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Add it again, and fill it from the table beside."""
        record, answer = operation["hidden"], operation.get("answer")
        attnum = side_table.bring_back(work, record, change, answer)
        record = readdressed(record, work.renumbered[-1])
        # An index may be over several columns that come back.
        work.at(64, lambda: side_table.build_again(work, record))
        for one in record["constraints"]:
            # The key that a foreign key leads to may come back after it.
            work.at_end.append(partial(constraints.add, work, one))
        side_table.require(work, record, change, answer)
        work.before_rows.append(lambda: side_table.before_rows(work, record, change, answer))
        work.residues += subscribers.again(work.link, record)
        rest = {key: value for key, value in operation.items() if key not in ("hidden", "explains")}
        kept = {key: record[key] for key in ("constraints", "not_null", "default")}
        return rest | kept | {"attnum": attnum}

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop it again, and keep its values again."""
        record = side_table.set_aside(work, operation["table"], operation["attnum"], change, None)
        return operation | {"hidden": record}
