"""The part of `PostgresDatabase` that holds a kept database against the live one. Each call imports what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backout.backup import Brought, TableDifference
    from backout.databases.postgres.cluster import Cluster
    from backout.databases.restores import Note
    from backout.message import Message

_BESIDE_DEADLINE_S = 10.0


class PostgresCompares:
    """Keeps the contract `databases.restores.Comparable`; see there for what each call promises."""

    _cluster: Cluster

    def differences(
        self, kept: str, *, tables: tuple[str, ...], examples: int, note: Note
    ) -> tuple[TableDifference, ...]:
        """Compare a kept database with the live one; see `rows.compare.differences`."""
        from backout.databases.postgres.rows.compare import differences

        return differences(
            self._cluster.connector,
            kept,
            schemas=self._cluster.schemas,
            swap_xid=self._swap_xid(kept),
            tables=tables,
            examples=examples,
            note=note,
        )

    def bring(
        self,
        kept: str,
        tables: tuple[str, ...],
        *,
        where: str | None,
        take_updated: bool,
        dry_run: bool,
        note: Note,
    ) -> tuple[Brought, ...]:
        """Copy rows that only the kept database has into the live one; see `rows.bring.bring`."""
        from backout.databases.postgres.rows.bring import bring

        return bring(
            self._cluster.connector,
            kept,
            tables,
            schemas=self._cluster.schemas,
            swap_xid=self._swap_xid(kept),
            where=where,
            take_updated=take_updated,
            dry_run=dry_run,
            note=note,
        )

    def unfit_tables(self, tables: tuple[str, ...]) -> tuple[Message, ...]:
        """Return why tables cannot go back alone; see `rows.fit`."""
        from backout.databases.postgres.rows.fit import unfit_tables

        return unfit_tables(self._cluster.connector, tables, self._cluster.schemas)

    def compare_tables(
        self, beside: str, tables: tuple[str, ...], *, note: Note
    ) -> tuple[TableDifference, ...]:
        """Compare chosen tables with those of a restored database; see `rows.equal.compare_tables`."""
        from backout.databases.postgres.rows.equal import compare_tables

        cluster = self._cluster
        return compare_tables(cluster.connector, beside, tables, schemas=cluster.schemas, note=note)

    def restore_tables(
        self, beside: str, tables: tuple[str, ...], *, max_deleted: int | None, note: Note
    ) -> tuple[TableDifference, ...]:
        """Make chosen live tables equal to those of a restored database; see `rows.equal.restore_tables`."""
        from backout.databases.postgres.rows.equal import restore_tables

        return restore_tables(
            self._cluster.connector,
            beside,
            tables,
            schemas=self._cluster.schemas,
            max_deleted=max_deleted,
            note=note,
        )

    def _swap_xid(self, kept: str) -> int | None:
        """Return the id of the swap's transaction; None: that database was not swapped out by backout."""
        from backout.databases.postgres.beside import list_beside

        found = list_beside(self._cluster, _BESIDE_DEADLINE_S)
        return next((database.swap_xid for database in found if database.name == kept), None)
