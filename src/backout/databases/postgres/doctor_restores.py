"""Tries what a restore beside and a swap would need of PostgreSQL, touching nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.carried import At, made_with
from backout.databases.postgres.cluster import Cluster, named, no_database, server_version
from backout.databases.postgres.creating import lacking_right
from backout.databases.postgres.programs import find_programs
from backout.databases.postgres.server_fit import unfit_server
from backout.errors import BackoutError
from backout.message import msg
from backout.platforms.base import Diagnosis

if TYPE_CHECKING:
    import psycopg

_DEADLINE_S = 5.0
_SUBJECT = "database restore"
_FIT = "restore.switch.server in backout.yaml, and what an administrator of that server gives"

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
                *([] if cluster.connector.other is not None else _may_make(connection, connection, cluster)),
                _stays_behind(connection, cluster),
            ]
    except BackoutError as error:
        remedy = "name another database of this server that it may connect to: database.maintenance_database"
        evidence = msg("The maintenance database {name}: {why}", name=name, why=str(error.what))
        lines = [Diagnosis(subject=_SUBJECT, ok=False, evidence=evidence, remedy=remedy)]
    yield from lines
    if cluster.connector.other is not None:
        yield from _on_the_other_server(cluster)


def _on_the_other_server(cluster: Cluster) -> list[Diagnosis]:
    """Say whether the other server answers, and could hold a database like the live one."""
    server = cluster.shown(cluster.makes_on) or ""
    try:
        with (
            cluster.both(cluster.live, None, _DEADLINE_S) as sessions,
            cluster.inside(cluster.live, _DEADLINE_S) as live,
        ):
            answers = msg("{server} answers (restore.switch.server)", server=server)
            unfit = list(unfit_server(live, sessions.beside)) if sessions.home is not None else []
            return [
                Diagnosis(subject=_SUBJECT, ok=True, evidence=answers),
                *_may_make(sessions.live, sessions.beside, cluster),
                *(Diagnosis(subject=_SUBJECT, ok=False, evidence=why, remedy=_FIT) for why in unfit),
            ]
    except BackoutError as error:
        evidence = msg("{server} (restore.switch.server): {why}", server=server, why=str(error.what))
        return [Diagnosis(subject=_SUBJECT, ok=False, evidence=evidence, remedy=_FIT)]


def _may_make(
    live: psycopg.Connection[Any], there: psycopg.Connection[Any], cluster: Cluster
) -> list[Diagnosis]:
    """Say whether a database like the live one can be made and filled, by sessions with its server and with the other one's."""
    return [_may_create(live, there, cluster.live), _programs(there, cluster)]


def _may_create(live: psycopg.Connection[Any], connection: psycopg.Connection[Any], name: str) -> Diagnosis:
    there = named(live, name).get(name)
    made = made_with(At(live, there.oid)) if there is not None else None
    if made is None:
        raise no_database(name)
    lacking = lacking_right(connection, made)
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
