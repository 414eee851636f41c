"""Makes the inverse of a migration on scratch, and proves it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.inverse.catalog import linked, read_catalog, read_fingerprint
from backout.databases.postgres.inverse.model import Catalog
from backout.databases.postgres.inverse.statements import statements
from backout.databases.postgres.reversible.fingerprint import Difference, differences
from backout.databases.postgres.reversible.link import Link, LinkError

PREAMBLE = (
    "SET LOCAL search_path = ''",
    "SET LOCAL check_function_bodies = off",
)
"""What the statements count on: every name in them is with its schema, and a body may speak of what comes later."""
_ROUNDS = 16


class Place(NamedTuple):
    """A scratch database: as the role that migrations run as, and as whom nothing keeps from reading."""

    run: Connector
    read: Connector


@dataclass(frozen=True, slots=True)
class Inverse:
    """What makes the schema of after that of before.

    Attributes:
        statements: In one transaction, behind `PREAMBLE`.
        stopped: Why it does not run to its end on scratch; None: it does.
        left: What is another than it was after them.
    """

    statements: tuple[str, ...]
    stopped: str | None
    left: tuple[Difference, ...]

    @property
    def proven(self) -> bool:
        """Whether it was run, and the schema after it is the one of before in everything that is looked at."""
        return self.stopped is None and not self.left


def make(
    before: Place,
    copy: Callable[[], Place],
    *,
    same_origin: bool = True,
    fills: Mapping[str, str] | None = None,
    last: Sequence[str] = (),
) -> Inverse:
    """Find the statements, round after round in one copy of what the migration left, and prove them in another one.

    Args:
        before: A scratch database as it was before the migration.
        copy: Makes a copy of one as it is after it.
        same_origin: Whether that was made as a copy of `before`, oids and all.
        fills: What rows get in a column that comes back, by ``schema.table.column``: SQL expressions.
        last: Statements that are to follow.
    """
    wanted = read_catalog(before.read)
    found, stopped = _found(wanted, copy(), same_origin=same_origin, fills=fills)
    if stopped is not None:
        return Inverse(tuple(found), stopped, ())
    found += last
    proof = copy()
    stopped = run(proof.run, found)
    left = () if stopped else tuple(differences(read_fingerprint(before.read), read_fingerprint(proof.read)))
    return Inverse(tuple(found), stopped, left)


def _found(
    wanted: Catalog, work: Place, *, same_origin: bool, fills: Mapping[str, str] | None
) -> tuple[list[str], str | None]:
    found: list[str] = []
    last: list[str] = []
    for _ in range(_ROUNDS):
        more = statements(wanted, read_catalog(work.read), same_origin=same_origin, fills=fills)
        if not more or more == last:
            break
        found += more
        stopped = run(work.run, more)
        if stopped is not None:
            return found, stopped
        last = more
    return found, None


def run(connector: Connector, chosen: Sequence[str], *, preamble: Sequence[str] = PREAMBLE) -> str | None:
    """Run statements in one transaction; return what the database said if it refused one, and which."""
    with linked(connector) as link:
        link.rows("BEGIN")
        stopped = _run(link, (*preamble, *chosen, "COMMIT"))
        if stopped:
            link.rows("ROLLBACK")
        return stopped


def _run(link: Link, chosen: Sequence[str]) -> str | None:
    for statement in chosen:
        try:
            link.rows(statement)
        except LinkError as error:
            detail = f" ({error.fields['D']})" if error.fields.get("D") else ""
            return f"{error}{detail}: {statement}"
    return None
