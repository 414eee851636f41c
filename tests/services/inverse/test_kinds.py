"""Each kind of change alone: the file that is made for it is run on a copy, and the schema after it is the one of before.

The databases hold rows, other than a scratch one does, so that what a file refuses because of rows is met here too, and
every value is there afterwards but for those that the head of the file says are not.
"""

from __future__ import annotations

import re
from contextlib import closing

import psycopg
import pytest
from tests.services.reversible.kinds import KINDS
from tests.services.reversible.servers import share

from backout.databases.postgres.inverse.catalog import read_catalog
from backout.databases.postgres.inverse.losses import losses
from backout.databases.postgres.inverse.made import Place, make
from backout.databases.postgres.inverse.model import Catalog
from backout.databases.postgres.reversible.names import ident
from backout.migration import answer_of, answers_in

from .conftest import Bed

pytestmark = pytest.mark.slow

_ANSWER = re.compile(r"-- backout:([^\n]*)")

STOPS = {
    # Rows refer to others that no file brings back: the constraint is refused, nothing is changed, and the head says so.
    "table_dropped_with_children": "violates foreign key",
}


_KINDS = {kind.name: kind for kind in KINDS}


@pytest.mark.parametrize("name", sorted({*share(_KINDS, 0, 4), *STOPS}))
def test_the_schema_after_the_file_is_the_one_of_before(name: str, bed: Bed) -> None:
    kind, before = _KINDS[name], bed.database()
    bed.run(before, kind.before)
    after = bed.database(before)
    bed.run(after, kind.up)
    fills = answers_in(answer_of(one) for one in _ANSWER.findall(kind.up))
    copies: list[Place] = []

    def copy() -> Place:
        copies.append(bed.place(bed.database(after)))
        return copies[-1]

    made = make(bed.place(before), copy, fills=fills)
    was, is_ = (read_catalog(bed.place(url).read) for url in (before, after))
    told = losses(was, is_, same_origin=True, fills=fills)
    if kind.name in STOPS:
        assert STOPS[kind.name] in str(made.stopped)
        assert any(one.why.fields.get("constraint") for one in told.stops)
        return
    assert made.stopped is None
    assert [str(one) for one in made.left] == []
    assert made.proven and made.statements
    lost = {str(value) for one in told.cannot for value in one.fields.values()}
    assert values_of(copies[-1].read.conninfo, was, lost) == values_of(before, was, lost)


def values_of(url: str, catalog: Catalog, lost: set[str]) -> dict[str, list[object]]:
    """Return the rows of every table, without what is told to be lost."""
    found: dict[str, list[object]] = {}
    with closing(psycopg.connect(url)) as connection:
        for at, table in catalog.things.items():
            if table.kind != "table" or table.identity in lost:
                continue
            columns = [ident(one.name) for one in catalog.columns_of.get(at[1], ())]
            kept = [one for one in columns if f"{table.identity}.{one}" not in lost]
            listed = ", ".join(f"{one}::text" for one in kept)
            query = f"SELECT ROW({listed})::text FROM ONLY {table.identity} ORDER BY 1"
            found[table.identity] = connection.execute(query.encode()).fetchall()
    return found
