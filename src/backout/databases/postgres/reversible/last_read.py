"""The catalog as it was read last: reading it again is spared where nothing in it is another row than then.

PostgreSQL never changes a row of the catalog in a transaction, it writes another one: so the place (ctid) and the maker (xmin)
of every row tell whether anything is another than before, which is asked in a tenth of the time of reading it.
Source: PostgreSQL 15 documentation, 5.5 "System Columns".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backout.databases.postgres.reversible import catalog
from backout.databases.postgres.reversible.catalog import Snapshot
from backout.databases.postgres.reversible.link import Link, scalar

_OF_PARTS = {
    "pg_class": "oid",
    "pg_attribute": "attrelid",
    "pg_attrdef": "oid",
    "pg_constraint": "oid",
    "pg_index": "indexrelid",
    "pg_trigger": "oid",
    "pg_rewrite": "oid",
    "pg_policy": "oid",
    "pg_type": "oid",
    "pg_enum": "oid",
    "pg_proc": "oid",
    "pg_sequence": "seqrelid",
    "pg_depend": "objid",
    "pg_inherits": "inhrelid",
}
"""What `catalog.read` looks at besides `catalog.OTHERS`, and the column by which what initdb made is left out."""


def stamp(link: Link) -> str:
    """Return a text that is another one whenever anything that `catalog.read` would tell is another."""
    others = {name: "rngtypid" if name == "pg_range" else "oid" for name in catalog.OTHERS.values()}
    parts = [
        f"SELECT {number} AS part, ctid, xmin FROM pg_catalog.{name} WHERE {oid} >= {catalog.FIRST_OID}"
        for number, (name, oid) in enumerate({**_OF_PARTS, **others}.items())
    ]
    # The schema `public`, and what is said of it, are of initdb and can change.
    parts.append("SELECT -1, ctid, xmin FROM pg_catalog.pg_namespace")
    parts.append(
        f"SELECT -2, ctid, xmin FROM pg_catalog.pg_description WHERE objoid >= {catalog.FIRST_OID} "
        "OR classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass"
    )
    rows = " UNION ALL ".join(parts)
    # A sum does not depend on the order of the rows; two of them and the count leave no room for chance.
    told = "pg_catalog.concat_ws(' ', part, ctid, xmin)"
    return str(
        scalar(
            link,
            f"SELECT pg_catalog.concat_ws(' ', count(*), sum(pg_catalog.hashtextextended({told}, 0)), "
            f"sum(pg_catalog.hashtextextended({told}, 1))) FROM ({rows}) x",
        )
    )


@dataclass(slots=True)
class LastRead:
    """The last reading, by whichever session of a migration."""

    _last: tuple[str, Snapshot] | None = field(default=None)

    def read(self, link: Link) -> Snapshot:
        """Return the catalog as the session's transaction sees it.

        Args:
            link: The session, in a transaction.
        """
        now, last = stamp(link), self._last
        if last is not None and last[0] == now:
            return last[1]
        # What somebody commits in between has another stamp, and is read then.
        snapshot = catalog.read(link)
        self._last = (now, snapshot)
        return snapshot
