"""Tries what a restore beside and a swap would need of PostgreSQL, touching nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.cluster import Cluster, server_version
from backout.databases.postgres.creating import lacking_right
from backout.databases.postgres.programs import find_programs
from backout.errors import BackoutError
from backout.message import msg
from backout.platforms.base import Diagnosis

if TYPE_CHECKING:
    import psycopg

_DEADLINE_S = 5.0
_SUBJECT = "database restore"

_STAY = """
SELECT 'logical slot ' || slot_name FROM pg_replication_slots WHERE slot_type = 'logical' AND database = %(live)s
UNION ALL
SELECT 'subscription ' || s.subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
WHERE d.datname = %(live)s
ORDER BY 1"""


def diagnose_restores(cluster: Cluster) -> Iterator[Diagnosis]:
    """Yield one line for each thing that a restore beside the live database, and the swap, would need."""
    name = cluster.maintenance_name
    try:
        with cluster.maintenance(_DEADLINE_S) as connection:
            # Collected inside: the connection's errors become a line too, and it is closed before we yield.
            lines = [
                Diagnosis(
                    subject=_SUBJECT,
                    ok=True,
                    evidence=msg("The maintenance database {name} answers", name=name),
                ),
                _may_create(connection, cluster.live),
                _programs(connection, cluster),
                _stays_behind(connection, cluster),
            ]
    except BackoutError as error:
        remedy = "name another database of this server that it may connect to: database.maintenance_database"
        evidence = msg("The maintenance database {name}: {why}", name=name, why=str(error.what))
        lines = [Diagnosis(subject=_SUBJECT, ok=False, evidence=evidence, remedy=remedy)]
    yield from lines


def _may_create(connection: psycopg.Connection[Any], live: str) -> Diagnosis:
    lacking = lacking_right(connection, live)
    if lacking is not None:
        remedy = f"{lacking.by_hand} (as an administrator)"
        return Diagnosis(subject=_SUBJECT, ok=False, evidence=lacking.what, remedy=remedy)
    evidence = msg("{role} may create and rename databases", role=connection.info.user)
    return Diagnosis(subject=_SUBJECT, ok=True, evidence=evidence)


def _programs(connection: psycopg.Connection[Any], cluster: Cluster) -> Diagnosis:
    try:
        found = find_programs(cluster.programs, server_version(connection))
    except BackoutError as error:
        return Diagnosis(subject=_SUBJECT, ok=False, evidence=error.what, remedy=error.next_command)
    evidence = msg("{version} in {folder}", version=found.version, folder=str(found.folder))
    return Diagnosis(subject=_SUBJECT, ok=True, evidence=evidence)


def _stays_behind(connection: psycopg.Connection[Any], cluster: Cluster) -> Diagnosis:
    names = [str(row[0]) for row in connection.execute(_STAY, {"live": cluster.live}).fetchall()]
    if not names:
        return Diagnosis(
            subject=_SUBJECT, ok=True, evidence=msg("No logical slot or subscription would stay behind")
        )
    evidence = msg(
        "These would end with a swap, and are accepted only by name: {names}", names=", ".join(names)
    )
    remedy = "decide now what becomes of who reads from it; a swap then names it"
    return Diagnosis(subject=_SUBJECT, ok=None, evidence=evidence, remedy=remedy)
