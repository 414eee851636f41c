"""Writes rows in sets; where the database refuses a set, it is halved until it is known which rows it refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.link import Link, LinkError, objects, scalar
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.rows.targets import Target

_SAVEPOINT = "_bo_rows"
ROW_IS_REFUSED = ("22", "23", "44", "P0", "42804", "54000")
"""Classes of SQLSTATE that speak of values: of data, of integrity, of WITH CHECK OPTION, raised by a function; index row too big."""


@dataclass(slots=True)
class Writer:
    """Writes the rows of one table.

    Attributes:
        link: Session in its transaction.
        target: The table.
        pending: By act (`insert`, `update`, `delete`): numbers of rows to be written, in the order of writing.
        said: By number of a row: why it was refused the last time.
        written: By act: how many were written.
        written_by: Transactions (also those of savepoints) that wrote.
        tried: Acts of which all rows were tried once.
    """

    link: Link
    target: Target
    pending: dict[str, list[int]] = field(default_factory=dict)
    said: dict[int, str] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=lambda: {"insert": 0, "update": 0, "delete": 0})
    written_by: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Read which rows there are to write."""
        found = objects(
            self.link,
            f"SELECT act, json_agg(n ORDER BY n) AS rows FROM {self.target.part('now')} "
            "WHERE act IN ('insert', 'delete', 'update') GROUP BY act",
        )
        self.pending = {"insert": [], "update": [], "delete": []} | {str(o["act"]): o["rows"] for o in found}

    def moves_keys(self) -> bool:
        """Tell whether rows get other keys."""
        moved = f"SELECT FROM {self.target.part('now')} WHERE act = 'update' AND okey <> nkey"
        return bool(self.target.key) and scalar(self.link, f"SELECT EXISTS ({moved})") == "t"

    def put(self, act: str) -> bool:
        """Write what is pending of an act; tell whether any row was written."""
        rows, before = self.pending[act], self.written[act]
        if not rows:
            return False
        statements: dict[str, Callable[[str], list[str]]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
        }
        self.pending[act] = self._put(act, rows, statements[act])
        self.tried.add(act)
        return self.written[act] > before

    def _put(self, act: str, rows: Sequence[int], statements: Callable[[str], list[str]]) -> list[int]:
        """Write rows, all or in halves; return those that were refused."""
        why = self._try(act, rows, statements)
        if why is None:
            return []
        if len(rows) == 1:
            self.said[rows[0]] = why
            return list(rows)
        half = len(rows) // 2
        return self._put(act, rows[:half], statements) + self._put(act, rows[half:], statements)

    def _try(self, act: str, rows: Sequence[int], statements: Callable[[str], list[str]]) -> str | None:
        """Write all of the rows or none; return why not."""
        self.link.rows(f"SAVEPOINT {_SAVEPOINT}")
        chosen = (
            f"r.n BETWEEN {rows[0]} AND {rows[-1]} AND r.act = '{act}'"
            if (rows is self.pending[act] and act not in self.tried) or _dense(rows)
            else f"r.n = ANY ('{{{','.join(map(str, rows))}}}')"
        )
        count, by = 0, set()
        try:
            for statement in statements(chosen):
                found = self.link.rows(
                    f"WITH w AS ({statement}) SELECT count(*)::text AS n, min(x) AS x FROM w"
                )[0]
                count += int(found["n"] or 0)
                by |= {found["x"]} if found["x"] else set()
        except LinkError as error:
            self.link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            self.link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            if not error.sqlstate.startswith(ROW_IS_REFUSED):
                raise
            return str(error)
        if count != len(rows):
            self.link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            self.link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            return "the row is not there as it was"
        self.link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        self.written[act] += count
        by |= self._by_partitions(chosen)
        self.written_by |= by
        return None

    def _insert(self, chosen: str) -> list[str]:
        """One statement for each set of columns that the images have."""
        target = self.target
        forms = objects(
            self.link, f"SELECT DISTINCT oknown FROM {target.part('now')} r WHERE {chosen} ORDER BY 1"
        )
        statements = []
        for form in forms:
            columns = [
                (n, c) for n, c in enumerate(target.columns, 1) if n in form["oknown"] and not c.generated
            ]
            names = ", ".join(ident(c.name) for _, c in columns)
            values = ", ".join(f"(r.old)[{n}]::{c.type}" for n, c in columns)
            known = f"'{{{','.join(map(str, form['oknown']))}}}'::int2[]"
            given = (
                f"({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {target.part('now')} r "
                f"WHERE {chosen} AND r.oknown = {known} ORDER BY r.n"
            )
            statements.append(f"INSERT INTO {target.path} AS t {given} RETURNING {self._by()} AS x")
        return statements

    def _update(self, chosen: str) -> list[str]:
        """One statement for each set of columns that are to be set."""
        target = self.target
        forms = objects(
            self.link, f"SELECT DISTINCT set_ FROM {target.part('now')} r WHERE {chosen} ORDER BY 1"
        )
        statements = []
        for form in forms:
            sets = ", ".join(
                f"{ident(target.columns[n - 1].name)} = (r.old)[{n}]::{target.columns[n - 1].type}"
                for n in form["set_"]
            )
            which = f"'{{{','.join(map(str, form['set_']))}}}'::int[]"
            statements.append(
                f"UPDATE {target.rows_of} AS t SET {sets} FROM {target.part('now')} r WHERE {chosen} "
                f"AND r.set_ = {which} AND {self._same()} RETURNING {self._by()} AS x"
            )
        return statements

    def _delete(self, chosen: str) -> list[str]:
        target = self.target
        rows = (
            f"DELETE FROM {target.rows_of} AS t USING {target.part('now')} r WHERE {chosen} AND NOT r.blocked"
        )
        return [f"{rows} AND {self._same()} RETURNING NULL::text AS x"]

    def _by(self) -> str:
        """SQL: the transaction that wrote; PostgreSQL does not tell it where rows are sent to partitions."""
        return "NULL::text" if self.target.partitioned else "t.xmin::text"

    def _by_partitions(self, chosen: str) -> set[str]:
        target = self.target
        if not target.partitioned or not target.key:
            return set()
        found = self.link.rows(
            f"SELECT DISTINCT t.xmin::text AS x FROM {target.part('now')} r JOIN {target.path} t "
            f"ON {target.same_key('t', 'r.okey')} WHERE {chosen}"
        )
        return {one["x"] or "" for one in found}

    def _same(self) -> str:
        return self.target.same_key("t", "r.nkey") if self.target.key else "t.ctid = r.at"


def _dense(rows: Sequence[int]) -> bool:
    return len(rows) > 1 and rows[-1] - rows[0] + 1 == len(rows)
