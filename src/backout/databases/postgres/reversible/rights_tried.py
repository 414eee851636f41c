"""Whether owners and privileges can be given back is asked of PostgreSQL itself, before the COMMIT: there and back again, in a savepoint.

Who may give what to whom depends on memberships, on who gave it, and on the version. What the role that runs the migration
could not undo is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible.acl import Items, handed_over, items_of, steps
from backout.databases.postgres.reversible.effects import effect
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.link import Link, LinkError, objects
from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto
from backout.databases.postgres.reversible.rights import Place, exploded, letter_of, place_of
from backout.databases.postgres.reversible.work import Moved, Work

_KINDS = ("owner", "privileges", "privileges.default")
_SAVEPOINT = "_bo_rights"
_END = 100

Found = list[tuple[str, Operation]]


@dataclass(slots=True)
class _Own:
    """One change of an owner or of privileges, and what was held before and after it; None: it is an owner's."""

    kind: str
    operation: Operation
    before: Items | None = None
    after: Items | None = None

    @property
    def empty(self) -> bool:
        """Whether the privileges are others by the change of the owner alone."""
        return self.before is not None and not self.operation["back"] and not self.operation["again"]


def rights_tried(link: Link, found: Found) -> Found:
    """Return what a transaction did, its changes of owners and privileges completed and tried.

    Args:
        link: In the client's transaction, as the role that logged in.
        found: What effects have found.

    Raises:
        Veto: This role could not undo one of them, or not exactly.
    """
    own = [_Own(kind, operation) for kind, operation in found if kind in _KINDS]
    if not own:
        return found
    _complete(link, own)
    kept = [one for one in own if not one.empty]
    _try(link, kept)
    return [one for one in found if one[0] not in _KINDS] + [(one.kind, one.operation) for one in kept]


def _complete(link: Link, own: list[_Own]) -> None:
    """Say in the operations what is to be given and taken, and how the roles are called."""
    told = [one for one in own if "acls" in one.operation]
    held = _held(link, [one.operation for one in told])
    for number, one in enumerate(told):
        one.before, one.after = (items_of(map(tuple, held[number, side] or ())) for side in (0, 1))
        old, new = one.operation["owners"]
        one.operation["back"] = steps(handed_over(one.after, new, old), one.before)
        one.operation["again"] = steps(handed_over(one.before, old, new), one.after)
        del one.operation["acls"]
    names = _names(link, {oid for one in own for oid in _roles_of(one.operation)})
    for one in own:
        one.operation["roles"] = {str(oid): names.get(oid, "") for oid in _roles_of(one.operation)}


def _held(link: Link, told: list[Operation]) -> dict[tuple[int, int], list[Any]]:
    texts = [
        {"n": number, "side": side, "acl": acl, "letter": letter_of(operation), "owner": owner}
        for number, operation in enumerate(told)
        for side, (acl, owner) in enumerate(zip(operation["acls"], operation["owners"], strict=True))
    ]
    items = exploded("x.acl::pg_catalog.aclitem[]", "x.letter", "x.owner")
    found = objects(
        link,
        f"SELECT n, side, {items} AS items FROM pg_catalog.json_to_recordset({literal(json.dumps(texts))}) "
        "AS x(n int, side int, acl text, letter text, owner oid)",
    )
    return {(one["n"], one["side"]): one["items"] for one in found}


def _roles_of(operation: Operation) -> set[int]:
    given = [*operation.get("back", ()), *operation.get("again", ())]
    return {*operation["owners"], *(oid for one in given for oid in one[:2])}


def _names(link: Link, oids: set[int]) -> dict[int, str]:
    numbers = ", ".join(map(str, sorted(oids)))
    found = objects(
        link,
        f"SELECT oid::int8 AS oid, rolname AS name FROM pg_catalog.pg_roles WHERE oid IN ({numbers})",
    )
    return {one["oid"]: one["name"] for one in found}


def _try(link: Link, own: list[_Own]) -> None:
    link.rows(f"SAVEPOINT {_SAVEPOINT}")
    try:
        _go(link, own, back=True)
        exact = all(_is_as(_place(link, one), one, side=0) for one in own)
        _go(link, own, back=False)
        exact = exact and all(_is_as(_place(link, one), one, side=1) for one in own)
        why = "" if exact else "they would not be exactly the same"
    except (LinkError, Moved) as error:
        why = str(error)
    finally:
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    if why:
        called = ", ".join(dict.fromkeys(str(one.operation["called"]) for one in own))
        raise Veto(
            f"backout could not undo what was done to owners or privileges of {called}",
            detail=f"It was tried as the role that runs the migration: {why}. {NOT_COMMITTED}",
            hint="Run it as a role that may give them back, or with the plain tool and without a way back.",
        )


def _go(link: Link, own: list[_Own], *, back: bool) -> None:
    work = Work(link)
    turns = [(effect(one.kind), one.operation) for one in own]
    for does, operation in sorted(turns, key=lambda one: one[0].down_at if back else one[0].redo_at):
        work.until(does.down_at if back else does.redo_at)
        (does.down if back else does.redo)(work, 0, dict(operation))
    work.until(_END)


def _place(link: Link, one: _Own) -> Place:
    return place_of(link, one.operation, one.operation["called"])


def _is_as(place: Place, one: _Own, *, side: int) -> bool:
    items = (one.before, one.after)[side]
    return place.owner == one.operation["owners"][side] and (items is None or items == place.items)
