"""Two databases of one owner, of which one is the other as it was kept: what a data way back compares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backout.backup import Brought, TableDifference
from backout.databases.postgres.connect import Connector
from backout.databases.postgres.rows.bring import bring
from backout.databases.postgres.rows.compare import differences
from backout.redact import Redactor


@dataclass
class Both:
    """The kept database, the live one (both of one owner), and the swap between them."""

    kept: Any
    live: Any
    swap_xid: int | None = None
    told: list[str] = field(default_factory=list)

    def connector(self, **timeouts: float) -> Connector:
        found = {"lock_timeout_s": 1, "statement_timeout_s": 20, "connect_timeout_s": 5, **timeouts}
        return Connector(conninfo=self.live.url, redactor=Redactor(), **found)

    def run(self, *statements: str) -> None:
        """Run in both, as the backup would have brought them."""
        self.kept.run(*statements)
        self.live.run(*statements)

    def swap(self) -> None:
        with self.live.connect() as connection:
            row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
        self.swap_xid = row[0]

    def diff(self, *tables: str, examples: int = 5, **options: Any) -> dict[str, TableDifference]:
        found = differences(
            self.connector(), self.kept.name, schemas=None, swap_xid=self.swap_xid, tables=tables,
            examples=examples, note=lambda m: self.told.append(str(m)), **options,
        )  # fmt: skip
        return {d.table: d for d in found}

    def bring(self, table: str, **options: Any) -> Brought:
        (brought,) = self.bring_all(table, **options)
        return brought

    def bring_all(self, *tables: str, lock_timeout_s: float = 1, **options: Any) -> tuple[Brought, ...]:
        given_ = {"where": None, "take_updated": False, "dry_run": False, **options}
        return bring(
            self.connector(lock_timeout_s=lock_timeout_s), self.kept.name, tables, schemas=None, swap_xid=self.swap_xid,
            note=lambda m: self.told.append(str(m)), **given_,
        )  # fmt: skip

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.live.connect() as connection:
            return connection.execute(query).fetchall()
