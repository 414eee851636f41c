"""The part of `PostgresDatabase` that lets the service use another database. Each call imports what it needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from backout.backup import SwapOrder
    from backout.databases.postgres.cluster import Cluster
    from backout.databases.postgres.connect import Connector
    from backout.databases.restores import InTheWay, Note
    from backout.message import Message


class PostgresSwitches:
    """Keeps the contract `databases.restores.Switchable`; see there for what each call promises."""

    _cluster: Cluster
    _connector: Connector

    def follow(self, used: Callable[[], str], server: str | None = None) -> None:
        """From now on, take the database that `used` names for the live one; it is asked when a session is opened."""
        from backout.databases.postgres.connect import secrets_of
        from backout.databases.postgres.other_server import OtherServer

        connector, other = self._cluster.connector, None
        if server is not None:
            connector.redactor.add(*secrets_of(server, {}))
            other = OtherServer(
                replace(connector, conninfo=server, setting="restore.switch.server"),
                self._cluster.maintenance_name,
            )
        self._connector = replace(connector, used=used, other=other)
        self._cluster = replace(self._cluster, connector=self._connector)

    def place(self, database: str) -> tuple[str, str]:
        """Return host and port of the server that has that database."""
        return self._connector.to(database).place

    def elsewhere(self, database: str | None) -> str | None:
        """Return ``host:port`` of a database (None: of one to be made) that is not on the server of the configured address."""
        cluster = self._cluster
        return cluster.shown(cluster.makes_on) if database is None else cluster.elsewhere(database)

    def in_the_way_of_a_switch(self) -> InTheWay:
        """Return what stands against any switch away from the live database now."""
        from backout.databases.postgres.switch import in_the_way_of_a_switch

        return in_the_way_of_a_switch(self._cluster)

    def switch_blockers(self, order: SwapOrder) -> tuple[Message, ...]:
        """Return what would keep the switch from being made now, or would end with it."""
        from backout.databases.postgres.switch import switch_blockers

        return switch_blockers(self._cluster, order)

    def begin_switch(self, order: SwapOrder, *, held: bool, note: Note) -> None:
        """Let nobody write into `live` any more, and make `beside` ready to be written."""
        from backout.databases.postgres.switch import begin_switch

        begin_switch(self._cluster, order, held=held, note=note)

    def end_switch(self, order: SwapOrder, *, held: bool) -> None:
        """Keep `live`, marked and read-only, and end the sessions that are left in it."""
        from backout.databases.postgres.switch import end_switch

        end_switch(self._cluster, order, held=held)

    def undo_switch(self, order: SwapOrder, *, held: bool) -> None:
        """Let `live` be written again, unless the run itself holds it."""
        from backout.databases.postgres.switch import undo_switch

        undo_switch(self._cluster, order, held=held)

    def switch_ended(self, order: SwapOrder) -> bool:
        """Return whether all is as `end_switch` leaves it."""
        from backout.databases.postgres.switch import switch_ended

        return switch_ended(self._cluster, order)

    def left_behind(self, deadline_s: float) -> tuple[str, ...]:
        """Name the sessions of clients in kept databases."""
        from backout.databases.postgres.switch import left_behind

        return left_behind(self._cluster, deadline_s)
